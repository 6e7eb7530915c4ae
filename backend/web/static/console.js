// Makes the operators' console live and quick to use by keyboard. Without this file every step works as a form.
(() => {
  "use strict";
  const root = document.getElementById("console");
  if (!root) return;
  const byId = (id) => document.getElementById(id);
  const conversation = root.dataset.conversation || "";
  const live = byId("live");
  const title = document.title;
  const MOST_ON_SCREEN = 500;

  // ---- what is new ----

  let newest = null;
  const announce = (words) => { if (live) live.textContent = words; };

  const arrived = ({ waiting, newest: last }) => {
    document.title = waiting ? `(${waiting}) ${title}` : title;
    if (newest !== null && last !== null && last > newest) {
      announce(root.dataset.new);
      if ("Notification" in window && Notification.permission === "granted" && document.hidden) {
        new Notification(root.dataset.new, { tag: "elp-queue" }).onclick = () => window.focus();
      }
    }
    newest = last === null ? (newest === null ? 0 : newest) : last;
    refreshQueue();
  };

  // One look at a time, and at most one a second: twenty changes are one new table.
  let asked = 0;
  let timer = null;
  const refreshQueue = () => {
    const queue = byId("queue");
    if (!queue || timer) return;
    timer = setTimeout(async () => {
      timer = null;
      asked = Date.now();
      const answer = await fetch(`/console/queue${location.search}`).catch(() => null);
      if (!answer || !answer.ok) return;
      const html = await answer.text();
      const marked = queue.querySelector("tr.console-marked");
      const focused = queue.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
      queue.innerHTML = html;
      if (marked && byId(marked.id)) byId(marked.id).classList.add("console-marked");
      if (focused && byId(focused.id)) byId(focused.id).querySelector("a").focus();
    }, Math.max(50, 1000 - (Date.now() - asked)));
  };

  const log = byId("log");
  const nearEnd = () => log && log.scrollHeight - log.scrollTop - log.clientHeight < 120;
  const toEnd = () => { if (log) log.scrollTop = log.scrollHeight; };

  const showMessage = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const fresh = holder.content.querySelector("article");
    const known = fresh && byId(fresh.id);
    if (!fresh || (known && known.dataset.version === fresh.dataset.version)) return;
    const follow = nearEnd();
    if (known) known.replaceWith(fresh);
    else {
      log.append(fresh);
      if (fresh.classList.contains("person")) typingGone();
    }
    while (log.children.length > MOST_ON_SCREEN) log.firstElementChild.remove();
    if (follow) toEnd();
  };

  let taking = false;
  const showState = (html) => {
    const state = byId("state");
    if (!state) return;
    state.innerHTML = html;
    const compose = byId("compose");
    if (!compose) return;
    compose.hidden = state.firstElementChild.dataset.mine !== "yes";
    byId("send-file").hidden = compose.hidden;
    if (taking && !compose.hidden) {
      taking = false;
      byId("words").focus();
    }
  };

  const typing = byId("typing");
  let typingTimer = null;
  const typingGone = () => { if (typing) typing.textContent = ""; };
  const showTyping = () => {
    if (!typing) return;
    typing.textContent = root.dataset.typing;
    clearTimeout(typingTimer);
    typingTimer = setTimeout(typingGone, 6000);
  };

  const source = new EventSource(root.dataset.events);
  const heard = {
    queue: (data) => arrived(JSON.parse(data)),
    message: showMessage,
    state: showState,
    notes: (data) => { if (byId("notes")) byId("notes").innerHTML = data; },
    typing: showTyping,
    // Signed out, or not ours any more: the page itself says which.
    gone: () => { source.close(); location.reload(); },
  };
  for (const [name, act] of Object.entries(heard)) source.addEventListener(name, (event) => act(event.data));
  source.onerror = () => announce(root.dataset.lost);
  source.onopen = () => announce("");

  const notify = byId("notify");
  if (notify && "Notification" in window && Notification.permission === "default") {
    notify.hidden = false;
    notify.addEventListener("click", async () => {
      await Notification.requestPermission();
      notify.hidden = true;
    });
  }

  // Taking, closing, putting back: the page stays, and the stream brings the new state.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.closest("#state") || source.readyState !== EventSource.OPEN) return;
    event.preventDefault();
    taking = form.action.endsWith("/claim");
    const answer = await fetch(form.action, { method: "POST", redirect: "manual" }).catch(() => null);
    if (!answer || answer.type !== "opaqueredirect") form.submit();
  });

  // ---- writing ----

  const words = byId("words");
  const preview = byId("preview");
  const compose = byId("compose");
  if (compose && words) {
    let last = 0;
    words.addEventListener("input", () => {
      // What was shown was of other words: it must be looked at again before it goes.
      if (preview && !preview.dataset.saved) preview.replaceChildren();
      if (Date.now() - last < 3000) return;
      last = Date.now();
      fetch(`/console/conversations/${conversation}/typing`, { method: "POST" }).catch(() => null);
    });
    let sending = false;
    compose.addEventListener("submit", (event) => {
      if (event.submitter && event.submitter.id === "see") return;
      if (sending) event.preventDefault();
      sending = true;
      setTimeout(() => { sending = false; }, 4000);
    });
    compose.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      const see = byId("see");
      // First the preview, then the reply.
      compose.requestSubmit(see && !byId("text") ? see : byId("send"));
    });
  }

  const FIELD = /\{([^{}\s]{1,40})\}/g;
  const fieldsOf = (text) => [...new Set([...text.matchAll(FIELD)].map((found) => found[1]))];
  const saved = (button) => {
    const { italian, own, language } = button.dataset;
    preview.replaceChildren();
    delete preview.dataset.saved;
    const texts = { italian, own };
    const show = (values) => {
      const fill = (text) => text.replace(FIELD, (whole, name) => values[name] || whole);
      words.value = fill(texts.italian);
      const shown = byId("text");
      if (shown) shown.value = fill(texts.own);
    };
    if (own && language !== "it") {
      const box = document.createElement("textarea");
      Object.assign(box, { id: "text", name: "text", rows: 4, className: "form-control mt-2", dir: "auto", lang: language });
      const hidden = (name, value) => Object.assign(document.createElement("input"), { type: "hidden", name, value });
      preview.append(box, hidden("language", language), hidden("machine", "no"));
      preview.dataset.saved = "yes";
    }
    const values = {};
    for (const name of fieldsOf(italian)) {
      const label = Object.assign(document.createElement("label"), { className: "form-label mt-2", textContent: name });
      const input = Object.assign(document.createElement("input"), { className: "form-control", dir: "auto" });
      input.addEventListener("input", () => { values[name] = input.value; show(values); });
      label.append(input);
      preview.append(label);
    }
    show(values);
    const first = preview.querySelector("input:not([type=hidden])");
    (first || words).focus();
  };

  const putCard = (button) => {
    const card = document.createElement("p");
    card.className = "console-card mb-0";
    const input = Object.assign(document.createElement("input"), { type: "hidden", name: "entry", value: button.dataset.entry });
    const name = Object.assign(document.createElement("strong"), { textContent: button.dataset.title, lang: "it" });
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-link p-0 ms-2", textContent: "×" });
    remove.dataset.removeCard = "";
    card.append(input, name, remove);
    byId("card").replaceChildren(card);
    words.focus();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.italian !== undefined) saved(button);
    else if (button.dataset.entry !== undefined) putCard(button);
    else if (button.dataset.removeCard !== undefined) byId("card").replaceChildren();
  });

  // ---- keyboard ----

  const rows = () => [...document.querySelectorAll("#queue tbody tr")];
  const mark = (step) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.classList.contains("console-marked"));
    const next = all[Math.min(all.length - 1, Math.max(0, now + step))];
    all.forEach((row) => row.classList.toggle("console-marked", row === next));
    next.querySelector("a").focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const keys = {
      j: () => mark(1),
      k: () => mark(-1),
      t: () => byId("take") && byId("take").click(),
      r: () => compose && !compose.hidden && words.focus(),
      q: () => { location.href = "/console"; },
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  toEnd();
})();
