// Leaving quickly, and forgetting when the page is closed. The button works without this file, too.
(() => {
  "use strict";
  const form = document.querySelector("form.leave");
  if (!form) return;
  const others = "BroadcastChannel" in window ? new BroadcastChannel("elp-leave") : null;
  let leaving = false;
  let staying = false;

  const vanish = () => {
    leaving = true;
    document.title = "\u200b";
    document.body.replaceChildren();
    try {
      sessionStorage.clear();
    } catch {
      // a browser that keeps nothing
    }
    location.replace(form.dataset.exit);
  };

  const leave = () => {
    if (leaving) return;
    // Sent even though the page goes away at once; nobody waits for the answer.
    fetch("/leave", { method: "POST", keepalive: true, redirect: "manual" }).catch(() => {});
    if (others) others.postMessage("left");
    vanish();
  };

  if (others) others.addEventListener("message", vanish);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    leave();
  });

  let escaped = -Infinity;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat || event.isComposing) return;
    if (event.timeStamp - escaped < 1500) leave();
    escaped = event.timeStamp;
  });

  // Going on to another page of ours is not closing.
  const stay = (event) => {
    if (event.defaultPrevented) return;
    staying = true;
    setTimeout(() => (staying = false), 10_000);
  };
  window.addEventListener("submit", stay);
  window.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && link.origin === location.origin && !link.target) stay(event);
  });
  window.addEventListener("pagehide", () => {
    if (leaving || staying || !document.querySelector("[sse-connect], [data-forgets]")) return;
    navigator.sendBeacon("/closing");
  });

  // The page before this one says that it was closed when this one is shown already.
  if (document.querySelector("[data-forgets]")) {
    setTimeout(() => fetch("/still-here", { method: "POST" }).catch(() => {}), 2_000);
  }

  // A page out of the browser's memory may show what is erased since.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.body.replaceChildren();
    location.reload();
  });
})();
