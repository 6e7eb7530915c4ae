// Leaving quickly, and forgetting when the page is closed. The button works without this file, too.
(() => {
  "use strict";
  const form = document.querySelector("form.leave");
  if (!form) return;
  const home = new URL(".", form.action);
  const others = "BroadcastChannel" in window ? new BroadcastChannel("elp-leave") : null;
  const TIMES = 3;
  const WITHIN = 2_000;
  let leaving = false;
  let staying = false;

  const vanish = () => {
    leaving = true;
    document.title = "\u200b";
    document.body.replaceChildren();
    document.dispatchEvent(new Event("elp:left"));
    try {
      sessionStorage.clear();
    } catch {
      // a browser that keeps nothing
    }
    const worker = navigator.serviceWorker && navigator.serviceWorker.controller;
    if (worker) worker.postMessage("left");
    if (window.parent !== window) window.parent.postMessage("elp-leave", "*"); // the page around ours goes, too: embed.js
    location.replace(form.dataset.exit);
  };

  const leave = () => {
    if (leaving) return;
    // Where the word of it finds no network, the next request says it. The answer to this one takes it away again.
    const own = home.pathname === "/" ? "elp_left=1; path=/; samesite=lax" : "elp_left_embedded=1; path=/embed; samesite=none; secure; partitioned";
    document.cookie = `${own}; max-age=2592000`;
    // Sent even though the page goes away at once; nobody waits for the answer.
    fetch(form.action, { method: "POST", keepalive: true, redirect: "manual" }).catch(() => {});
    if (others) others.postMessage("left");
    vanish();
  };

  if (others) others.addEventListener("message", vanish);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    leave();
  });

  // Once closes a menu or a picture, twice happens by mistake.
  let escaped = [];
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat || event.isComposing) return;
    escaped = [...escaped, event.timeStamp].filter((at) => event.timeStamp - at < WITHIN);
    if (escaped.length === TIMES) leave();
  });

  // Going on to another page of ours is not closing.
  const stay = (event) => {
    if (event.defaultPrevented) return;
    staying = true;
    setTimeout(() => (staying = false), 10_000);
  };
  window.addEventListener("submit", stay);
  // What is erased is read nowhere, also not without a network.
  window.addEventListener("submit", (event) => {
    if (event.target.action.endsWith("/mine/erase")) sessionStorage.clear();
  });
  window.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && link.origin === location.origin && !link.target) stay(event);
  });
  window.addEventListener("pagehide", () => {
    if (leaving || staying || !document.querySelector("[sse-connect], [data-forgets]")) return;
    navigator.sendBeacon("closing");
  });

  // The page before this one says that it was closed when this one is shown already.
  if (document.querySelector("[data-forgets]")) {
    setTimeout(() => fetch("still-here", { method: "POST" }).catch(() => {}), 2_000);
  }

  // A page out of the browser's memory may show what is erased since.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.body.replaceChildren();
    location.reload();
  });
})();
