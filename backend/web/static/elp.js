// Makes the chat live. Without this file everything still works by forms and page loads.
(() => {
  "use strict";
  const log = document.getElementById("log");
  const compose = document.getElementById("compose");
  const text = document.getElementById("text");
  const problem = document.getElementById("problem");
  if (!log || !compose || !text) return;

  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const reveal = (element) => element && element.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });

  // A message can come twice, in the answer to our request and on the event stream: only the first one is shown.
  const withoutKnown = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    for (const message of holder.content.querySelectorAll("li.message[id]")) {
      if (document.getElementById(message.id)) message.remove();
    }
    return holder.innerHTML;
  };

  // Erased elsewhere, in another window or because it was left alone: nothing of it stays on the screen.
  const fresh = (event) => {
    if (event) event.preventDefault();
    location.replace("/");
  };
  document.body.addEventListener("htmx:sseError", async () => {
    const answer = await fetch("/still-here", { method: "POST" }).catch(() => null);
    if (answer && answer.status === 404) fresh();
  });

  document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (event.detail.type === "gone") return fresh(event);
    const holder = document.createElement("template");
    holder.innerHTML = event.detail.data;
    const message = holder.content.querySelector("li.message[id]");
    if (message && document.getElementById(message.id)) event.preventDefault();
  });

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr && event.detail.target === log) {
      event.detail.serverResponse = withoutKnown(event.detail.serverResponse);
    }
    // A refused message comes with a kind sentence in the body: show it in its place.
    if (event.detail.xhr && event.detail.xhr.status >= 400 && event.detail.xhr.getResponseHeader("HX-Retarget")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  // One id for one try of one person: the same request sent again by the network is answered once.
  let pending = null;
  const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.parameters.has ? !("client_message_id" in event.detail.parameters) : !event.detail.parameters.has("client_message_id")) return;
    const same = event.detail.elt === compose && pending && pending.text === text.value;
    const id = same ? pending.id : newId();
    if (event.detail.elt === compose) pending = { id, text: text.value };
    event.detail.parameters.client_message_id = id;
  });

  document.body.addEventListener("htmx:afterRequest", (event) => {
    const status = event.detail.xhr ? event.detail.xhr.status : 0;
    if (status >= 200 && status < 300) {
      problem.replaceChildren();
      if (event.detail.elt === compose) {
        text.value = "";
        pending = null;
        text.focus({ preventScroll: true });
      }
    }
  });

  // The network is away: the words stay in the field, and a sentence says so.
  document.body.addEventListener("htmx:sendError", () => {
    const line = document.createElement("p");
    line.textContent = text.dataset.offline;
    problem.replaceChildren(line);
  });

  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === Node.ELEMENT_NODE);
    if (added.length) reveal(added.at(-1).classList.contains("bot") ? added.at(-1) : added[0]);
  }).observe(log, { childList: true });

  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      compose.requestSubmit();
    }
  });

  const last = log.querySelector("li.message.bot[id]:last-child");
  if (last && log.querySelectorAll("li.message[id]").length > 1) reveal(last);
})();
