// What helps without a network: the page with the emergency numbers, kept on this device only when somebody asked for it,
// and the last answers, kept in this tab as long as it is open.
(() => {
  "use strict";
  const workers = window.top === window && navigator.serviceWorker; // a page inside another site's keeps nothing
  const by = (id) => document.getElementById(id);
  const log = by("log");
  const MOST = 6;
  const NEEDS_NETWORK = "form, button, template, img, .picture, .choices, .tools, [hidden]";

  const kept = (key) => {
    try {
      return JSON.parse(sessionStorage.getItem(key)) || [];
    } catch {
      return [];
    }
  };

  // Asked for by the button on our page, or by installing the chat as an app.
  const asked = async () => workers && ((await workers.getRegistration()) || window.matchMedia("(display-mode: standalone)").matches);
  const keepPage = () => workers.register(`/sw.js?language=${document.documentElement.lang}`);

  // ---- in the chat ----

  const remember = () => {
    const answers = [...log.querySelectorAll("li.message[id]")].slice(-MOST).map((message) => {
      const copy = message.cloneNode(true);
      for (const part of copy.querySelectorAll(NEEDS_NETWORK)) part.remove();
      return copy.outerHTML;
    });
    try {
      if (answers.length) sessionStorage.setItem("elp-answers", JSON.stringify(answers));
      else sessionStorage.removeItem("elp-answers");
    } catch {
      // no room for them: they are on the page
    }
  };
  if (log) {
    asked().then((yes) => {
      if (!yes) return;
      keepPage().catch(() => {}); // in the language of now, and of the version of now
      remember();
      const watching = new MutationObserver(remember);
      watching.observe(log, { childList: true });
      document.addEventListener("elp:left", () => watching.disconnect());
    });
    // It is offered where it is explained, not by a banner over what somebody reads.
    window.addEventListener("beforeinstallprompt", (event) => event.preventDefault());
    return;
  }

  // ---- on the page with the numbers ----

  const away = location.pathname !== "/offline";
  by("away").hidden = !away && navigator.onLine;
  if (away) {
    const again = async () => {
      if (await fetch("/healthz", { cache: "no-store" }).catch(() => null)) location.reload();
    };
    window.addEventListener("online", again);
    document.addEventListener("visibilitychange", again);
    setInterval(again, 5_000);
  } else {
    for (const change of ["online", "offline"]) window.addEventListener(change, () => (by("away").hidden = navigator.onLine));
  }

  const fill = (id, lines) => {
    by(id).hidden = !lines.length;
    by(id).querySelector("ol").append(...lines);
  };
  const line = (item) => {
    const shown = document.createElement("li");
    shown.className = "message person";
    shown.append(Object.assign(document.createElement("p"), { className: "text", dir: "auto", textContent: item.label || item.text }));
    return shown;
  };
  fill("waiting", kept("elp-queue").map(line));
  const answers = document.createElement("template");
  answers.innerHTML = kept("elp-answers").join("");
  fill("answers", [...answers.content.children]);

  const look = async () => {
    const yes = await workers.getRegistration();
    by("keep").hidden = Boolean(yes);
    by("kept").hidden = !yes;
  };
  if (!workers) return;
  look();
  by("keep").querySelector("button").addEventListener("click", async () => {
    await keepPage().catch(() => {});
    await look();
    by("kept").querySelector("button").focus();
  });
  by("kept").querySelector("button").addEventListener("click", async () => {
    const registration = await workers.getRegistration();
    if (registration) await registration.unregister();
    for (const name of await caches.keys()) await caches.delete(name);
    sessionStorage.removeItem("elp-answers");
    await look();
    by("keep").querySelector("button").focus();
  });
})();
