// Makes the chat live. Without this file everything still works by forms and page loads.
(() => {
  "use strict";
  const log = document.getElementById("log");
  const compose = document.getElementById("compose");
  const text = document.getElementById("text");
  const problem = document.getElementById("problem");
  const status = document.getElementById("status");
  const typing = document.getElementById("typing");
  const file = document.getElementById("file");
  const attach = document.getElementById("attach");
  const sending = document.getElementById("sending");
  if (!log || !compose || !text || !status || !typing || !file || !attach || !sending) return;
  document.documentElement.classList.add("js");

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
    if (event.detail.type === "typing") return operatorWrites(event);
    const holder = document.createElement("template");
    holder.innerHTML = event.detail.data;
    // Said again only when it has changed: it is read aloud.
    if (event.detail.type === "status" && holder.content.textContent.trim() === status.textContent.trim()) event.preventDefault();
    const message = holder.content.querySelector("li.message[id]");
    if (message && document.getElementById(message.id)) event.preventDefault();
  });

  // ---- somebody writes ----

  let silence = 0;
  const nobodyWrites = () => (typing.textContent = "");
  const operatorWrites = (event) => {
    event.preventDefault();
    clearTimeout(silence);
    silence = setTimeout(nobodyWrites, 6_000);
    if (!typing.textContent) typing.textContent = typing.dataset.words;
  };

  let told = -Infinity;
  text.addEventListener("input", (event) => {
    if (!status.querySelector("[data-state=ACTIVE]") || event.timeStamp - told < 3_000) return;
    told = event.timeStamp;
    fetch("/typing", { method: "POST" }).catch(() => {});
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
    if (event.detail.elt === attach) return (event.detail.parameters.client_message_id = chosen.id);
    event.detail.parameters.client_message_id = id;
  });

  document.body.addEventListener("htmx:afterRequest", (event) => {
    const code = event.detail.xhr ? event.detail.xhr.status : 0;
    if (code >= 200 && code < 300) {
      problem.replaceChildren();
      if (event.detail.elt === compose) {
        text.value = "";
        pending = null;
        text.focus({ preventScroll: true });
      }
    }
    if (event.detail.elt === attach) {
      sending.textContent = "";
      file.value = "";
      if (code >= 200 && code < 500) chosen = null;
    }
  });

  // The network is away: the words stay in the field, and a sentence says so.
  document.body.addEventListener("htmx:sendError", () => {
    const line = document.createElement("p");
    line.textContent = text.dataset.offline;
    problem.replaceChildren(line);
  });

  // ---- files ----

  const LONGEST_SIDE = 2560;
  const LARGEST_FILE = 10 * 1024 * 1024;
  let chosen = null; // the same file sent again after the network was away is one file

  // Browsers that hide what they are give back other pixels than were drawn: nobody could read such a letter.
  const drawsTruly = (context) => {
    const wanted = [200, 30, 90];
    context.fillStyle = `rgb(${wanted})`;
    context.fillRect(0, 0, 8, 8);
    const got = context.getImageData(0, 0, 8, 8).data;
    return wanted.every((value, channel) => Math.abs(got[channel] - value) < 4 && Math.abs(got[channel + 128] - value) < 4);
  };

  const smaller = async (original) => {
    const bitmap = await createImageBitmap(original, { imageOrientation: "from-image" });
    const usual = ["image/jpeg", "image/png", "image/webp"].includes(original.type);
    const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
    if (scale === 1 && usual && original.size <= LARGEST_FILE) return original;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    if (!drawsTruly(context)) return original;
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.88));
    return blob && (blob.size < original.size || !usual) ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : original;
  };

  file.addEventListener("change", async () => {
    const [picked] = file.files;
    if (!picked) return;
    sending.textContent = sending.dataset.words;
    const name = `${picked.name}/${picked.size}/${picked.lastModified}`;
    if (!chosen || chosen.name !== name) chosen = { name, id: newId() };
    if (picked.type.startsWith("image/") && picked.type !== "image/gif") {
      const ready = await smaller(picked).catch(() => picked); // what the browser cannot read the server may
      if (ready !== picked) {
        const files = new DataTransfer();
        files.items.add(ready);
        file.files = files.files;
      }
    }
    htmx.trigger(attach, "chosen");
  });
  attach.addEventListener("htmx:xhr:progress", (event) => {
    if (!event.detail.lengthComputable || !sending.textContent) return;
    const part = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(event.detail.loaded / event.detail.total);
    sending.textContent = `${sending.dataset.words} ${part}`;
  });

  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === Node.ELEMENT_NODE);
    if (added.some((message) => message.matches(".operator, .bot"))) {
      for (const mark of log.querySelectorAll(".sent")) {
        if (!added.includes(mark.closest("li"))) mark.remove();
      }
    }
    if (added.some((message) => message.matches(".operator"))) nobodyWrites();
    if (added.length) reveal(added.at(-1).classList.contains("bot") ? added.at(-1) : added[0]);
  }).observe(log, { childList: true });

  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      compose.requestSubmit();
    }
  });

  const last = log.querySelector("li.message:is(.bot, .operator, .system)[id]:last-child");
  if (last && log.querySelectorAll("li.message[id]").length > 1) reveal(last);
})();
