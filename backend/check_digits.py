"""Codes whose last characters follow from the others: whether what somebody wrote is one of them."""

import re

_FISCAL_CODE = re.compile(r"[a-z]{6}[0-9l-nq-vp]{2}[abcdehlmprst][0-9l-nq-vp]{2}[a-z][0-9l-nq-vp]{3}[a-z]")
_ODD_DIGITS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_ODD_LETTERS = (*_ODD_DIGITS, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD = dict(zip("0123456789abcdefghijklmnopqrstuvwxyz", (*_ODD_DIGITS, *_ODD_LETTERS), strict=True))
_EVEN = {char: int(char, 36) - (10 if char.isalpha() else 0) for char in _ODD}


def is_fiscal_code(code: str) -> bool:
    """Sixteen characters of the right shape whose last one follows from the others; in small letters."""
    if not _FISCAL_CODE.fullmatch(code):
        return False
    total = sum((_EVEN if place % 2 else _ODD)[char] for place, char in enumerate(code[:15]))
    return "abcdefghijklmnopqrstuvwxyz"[total % 26] == code[15]


def is_iban(code: str) -> bool:
    """In small letters, without spaces."""
    if not re.fullmatch(r"[a-z]{2}\d\d[0-9a-z]{11,30}", code):
        return False
    return int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1


def has_luhn_digit(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0
