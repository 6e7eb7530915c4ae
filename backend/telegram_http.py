"""Requests to the Bot API over aiohttp: python-telegram-bot's own, over httpx, take eight times the processor."""

from typing import Any

import aiohttp
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

_CONNECT_S, _FILE_S = 5.0, 60.0


class Unreachable(NetworkError):
    """No connection was made: nobody's fault, and of no meaning for the next message."""


class Request(BaseRequest):
    """Keeps its connections; `shutdown` it."""

    def __init__(self, *, connections: int, answer_s: float) -> None:
        self._connections, self._answer_s = connections, answer_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return self._answer_s

    async def initialize(self) -> None:
        """Nothing: the session is opened by the first request, in the loop that makes it."""

    async def shutdown(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Status and body. Raises TelegramError."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            headers = {"user-agent": self.USER_AGENT}
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, trust_env=True)
        answer_s = self._answer_s if read_timeout is BaseRequest.DEFAULT_NONE else read_timeout
        with_files = request_data is not None and request_data.contains_files
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=_FILE_S if with_files else answer_s)
        try:
            async with self._session.request(method, url, data=_body(request_data), timeout=timeout) as response:
                return response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable(type(error).__name__) from error
        except TimeoutError as error:
            raise TimedOut from error
        except aiohttp.ClientError as error:
            raise NetworkError(type(error).__name__) from error


def _body(request_data: RequestData | None) -> Any:
    if request_data is None:
        return None
    if not request_data.contains_files:
        return request_data.json_parameters
    form = aiohttp.FormData(request_data.json_parameters)
    for name, (filename, content, media_type) in request_data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=media_type)
    return form
