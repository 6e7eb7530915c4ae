// The conversation inside another site's page: what only the page around it can do is told to the script there
// (embed.js), and where this browser keeps nothing for us here, the way to a window of its own is shown.
(() => {
  "use strict";
  const around = window.parent;

  const keeps = () => {
    const rules = "Path=/embed; Secure; SameSite=None; Partitioned";
    try {
      document.cookie = `elp_try=1; ${rules}`;
      const kept = document.cookie.includes("elp_try=1");
      document.cookie = `elp_try=; Max-Age=0; ${rules}`;
      return kept;
    } catch {
      return false; // a frame without an origin of its own
    }
  };
  const apart = document.getElementById("apart");
  if (apart && !keeps()) document.body.replaceChildren(...document.querySelectorAll("body > header"), apart.content);

  // A download, and whatever opens in a window of its own, gets no cookies of this frame: the file is fetched here.
  const save = async (address) => {
    const answer = await fetch(address).catch(() => null);
    if (!answer || !answer.ok) return;
    const named = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = named ? named[1] : "";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[download], a[target=_blank]");
    if (!link || link.origin !== location.origin || !link.pathname.startsWith("/embed/")) return;
    event.preventDefault();
    save(link.href);
  });

  if (around === window) return;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.repeat || event.isComposing || document.querySelector("dialog[open]")) return;
    around.postMessage("elp-escape", "*"); // says nothing about anybody; only our sites may be around us
  });
  window.addEventListener("message", (event) => {
    if (event.source !== around || event.data !== "elp-leave") return;
    const form = document.querySelector("form.leave");
    if (form) form.requestSubmit();
  });
})();
