// Makes the chat live. Without this file everything still works by forms and page loads.
(() => {
  "use strict";
  const by = (id) => document.getElementById(id);
  const [log, compose, text, problem, status, typing] = ["log", "compose", "text", "problem", "status", "typing"].map(by);
  const [file, attach, sending, outbox] = ["file", "attach", "sending", "outbox"].map(by);
  if (!log || !compose || !text || !problem || !status || !typing || !file || !attach || !sending || !outbox) return;
  document.documentElement.classList.add("js");
  const home = new URL(".", compose.action);

  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const reveal = (element) => element && element.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  const copy = (id) => by(id).content.firstElementChild.cloneNode(true);
  const tell = (...lines) => {
    if (problem.textContent.trim() !== lines.map((line) => line.textContent).join("").trim()) problem.replaceChildren(...lines);
  };

  // For this tab and as long as it is open: it outlives a tunnel, a sleeping phone and a reload.
  const kept = (key) => {
    try {
      return JSON.parse(sessionStorage.getItem(key));
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const keep = (key, value) => {
    try {
      if (value && value.length) sessionStorage.setItem(key, JSON.stringify(value));
      else sessionStorage.removeItem(key);
    } catch {
      // what cannot be kept is still in this page
    }
  };
  const random = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");

  // Which conversation the page shows. The server takes what was written here for no other one.
  const mark = () => by("live").dataset.mark || "";
  let opening = kept("elp-opening"); // said with every try of the first message, so that all of them open one conversation
  const whose = (item) => {
    if (item && item.mark) return { "elp-conversation": item.mark };
    if (mark()) return { "elp-conversation": mark() };
    keep("elp-opening", (opening = opening || random(32)));
    return { "elp-opening": opening };
  };

  // Erased elsewhere, in another window or because it was left alone: nothing of it stays on the screen, or is sent.
  const fresh = (event) => {
    if (event) event.preventDefault();
    for (const key of ["elp-queue", "elp-opening", "elp-draft", "elp-answers"]) keep(key, null);
    queue = [];
    location.replace(home);
  };
  document.addEventListener("elp:left", () => (queue = []));
  document.body.addEventListener("htmx:sseError", async () => {
    const answer = await fetch(new URL("still-here", home), { method: "POST" }).catch(() => null);
    if (answer && answer.status === 404) fresh();
  });

  // ---- what comes ----

  // A message can come twice, in the answer to our request and on the event stream: only the first one is shown.
  const parsed = (html) => Object.assign(document.createElement("template"), { innerHTML: html });
  const withoutKnown = (html) => {
    const holder = parsed(html);
    for (const message of holder.content.querySelectorAll("li.message[id]")) {
      if (by(message.id)) message.remove();
    }
    return holder.innerHTML;
  };

  document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (event.detail.type === "gone") return fresh(event);
    if (event.detail.type === "typing") return operatorWrites(event);
    const holder = parsed(event.detail.data);
    // Said again only when it has changed: it is read aloud.
    if (event.detail.type === "status" && holder.content.textContent.trim() === status.textContent.trim()) event.preventDefault();
    const message = holder.content.querySelector("li.message[id]");
    if (message && by(message.id)) event.preventDefault();
    const row = busy && queue.length && rows.get(queue[0].id);
    if (message && row && message.matches(".person")) row.line.hidden = true; // it comes by both ways
  });

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr && event.detail.target === log) {
      event.detail.serverResponse = withoutKnown(event.detail.serverResponse);
    }
    // A refused file comes with a kind sentence in the body: show it in its place.
    if (event.detail.xhr && event.detail.xhr.status >= 400 && event.detail.xhr.getResponseHeader("HX-Retarget")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  // A line that slept may be dead without knowing it: a new one asks for what came meanwhile.
  const listenAgain = () => {
    const line = by("live").querySelector("[sse-connect]");
    if (!line) return;
    const url = new URL(line.getAttribute("sse-connect"), location);
    const seen = [...log.querySelectorAll("li.message[id]")].map((message) => Number(message.id.slice(1)));
    url.searchParams.set("after", Math.max(0, ...seen));
    line.setAttribute("sse-connect", url.pathname + url.search);
    htmx.swap(by("live"), by("live").outerHTML, { swapStyle: "outerHTML", swapDelay: 0, settleDelay: 0 });
  };

  // ---- what is written, and not yet sent ----

  let queue = (kept("elp-queue") || []).filter((item) => !item.mark || item.mark === mark());
  let busy = false;
  let tries = 0;
  let next = 0;
  const rows = new Map(); // of each item in the queue: its line on the page, and the button that was pressed for it
  const waits = (item, waiting) => {
    const { line } = rows.get(item.id);
    line.hidden = false;
    line.querySelector(".sent").hidden = !waiting;
    item.waited = item.waited || waiting;
  };

  const show = (item, pressed) => {
    const line = copy("unsent");
    line.querySelector(".text").textContent = item.label || item.text;
    line.querySelector("button").addEventListener("click", () => {
      if (item.text && !text.value) text.value = item.text;
      drop(item);
      text.focus({ preventScroll: true });
    });
    if (pressed) pressed.setAttribute("aria-disabled", "true");
    rows.set(item.id, { line, pressed });
    outbox.append(line);
    outbox.hidden = false;
    waits(item, item.waited || !navigator.onLine);
  };

  const drop = (item) => {
    const { line, pressed } = rows.get(item.id);
    queue = queue.filter((one) => one !== item);
    keep("elp-queue", queue);
    rows.delete(item.id);
    line.remove();
    outbox.hidden = !queue.length;
    if (pressed) pressed.removeAttribute("aria-disabled");
    if (!queue.length) problem.replaceChildren();
  };

  const write = (item, pressed) => {
    // Whoever erases everything wants nothing more to be sent, and nothing to be read.
    if (item.choice === "forget-now") {
      for (const one of queue.slice(busy ? 1 : 0)) drop(one);
      keep("elp-answers", null);
    }
    queue.push({ ...item, id: random(12), mark: mark() });
    keep("elp-queue", queue);
    show(queue.at(-1), pressed);
    reveal(rows.get(queue.at(-1).id).line);
    now();
  };

  const post = async (item) => {
    const body = new URLSearchParams({ client_message_id: item.id, ...(item.choice ? { choice: item.choice } : { text: item.text }) });
    const stop = new AbortController();
    const late = setTimeout(() => stop.abort(), 30_000); // the same id again is answered once
    const slow = setTimeout(() => rows.has(item.id) && waits(item, true), 3_000);
    try {
      const headers = { "hx-request": "true", ...whose(item) };
      const answer = await fetch(compose.action, { method: "POST", body, headers, signal: stop.signal });
      return { code: answer.status, headers: answer.headers, html: await answer.text() };
    } catch {
      return { code: 0 };
    } finally {
      clearTimeout(late);
      clearTimeout(slow);
    }
  };

  // In order, one after the other: the answer to a button depends on what was written before it.
  const pump = async () => {
    clearTimeout(next);
    if (busy || !queue.length) return;
    busy = true;
    const [item] = queue;
    const { code, headers, html } = await post(item);
    busy = false;
    if (code === 404) return fresh();
    if (queue[0] !== item) return pump(); // taken back meanwhile
    if (code >= 200 && code < 300) {
      taken(item, html, headers.get("HX-Redirect"));
      if (tries) listenAgain(); // what was told meanwhile
      tries = 0;
    } else if (code === 0 || code === 429 || code >= 500) {
      waits(item, true);
      tell(...(sentence(code, headers, html) || [copy("no-network")]));
      const asked = code === 429 ? Number(headers.get("retry-after")) * 1000 : 0;
      next = setTimeout(pump, Math.max(asked, Math.min(30_000, 1_000 * 2 ** tries++)));
      return;
    } else {
      drop(item);
      text.value = [item.text, text.value].filter(Boolean).join("\n");
      tell(...(sentence(code, headers, html) || [copy("no-network")]));
    }
    pump();
  };
  const now = () => {
    tries = 0;
    pump();
  };

  const taken = (item, html, elsewhere) => {
    drop(item);
    if (elsewhere) return location.assign(elsewhere);
    const own = parsed(html).content.querySelector("li.person");
    htmx.swap(log, withoutKnown(html), { swapStyle: "beforeend", swapDelay: 0, settleDelay: 0 });
    if (item.waited && own && !by(own.id).querySelector(".sent")) by(own.id).append(copy("was-sent"));
    keep("elp-opening", (opening = null));
    for (const one of queue) one.mark = one.mark || mark();
    keep("elp-queue", queue);
  };

  const sentence = (code, headers, html) => {
    if (!code || !headers.get("HX-Retarget")) return null;
    return [...parsed(html).content.children];
  };

  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (event.defaultPrevented || form.action !== compose.action || (submitter && submitter.formAction === attach.formAction)) return;
    event.preventDefault();
    if (form === compose) {
      if (text.value.trim()) write({ text: text.value });
      text.value = "";
      keep("elp-draft", null);
      text.focus({ preventScroll: true });
    } else {
      const pressed = submitter || form.querySelector("button[name=choice]");
      if (!queue.some((item) => item.choice === pressed.value)) write({ choice: pressed.value, label: pressed.textContent.trim() }, pressed);
    }
  });
  compose.noValidate = true; // a second tap on «send» finds an empty field, and needs no scolding

  for (const item of queue) show(item);
  keep("elp-queue", queue);
  if (queue.length) now();
  text.value = text.value || kept("elp-draft") || "";
  text.addEventListener("input", () => keep("elp-draft", text.value));

  let hidden = 0;
  const back = () => {
    now();
    sendFile();
    listenAgain();
  };
  window.addEventListener("online", back);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hidden = Date.now();
    else if (Date.now() - hidden > 20_000) back();
    else now();
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
    fetch(new URL("typing", home), { method: "POST" }).catch(() => {});
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
    if (!chosen || chosen.name !== name) chosen = { name, id: random(12), mark: mark() };
    if (picked.type.startsWith("image/") && picked.type !== "image/gif") {
      const ready = await smaller(picked).catch(() => picked); // what the browser cannot read the server may
      if (ready !== picked) {
        const files = new DataTransfer();
        files.items.add(ready);
        file.files = files.files;
      }
    }
    chosen.ready = true;
    sendFile();
  });
  const sendFile = () => {
    if (!chosen || !chosen.ready || file.disabled) return;
    sending.textContent = sending.dataset.words;
    htmx.trigger(attach, "chosen");
  };
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt !== attach) return;
    event.detail.parameters.client_message_id = chosen.id;
    Object.assign(event.detail.headers, whose(chosen));
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt !== attach) return;
    const code = event.detail.xhr ? event.detail.xhr.status : 0;
    if (code === 404) return fresh();
    sending.textContent = code === 0 ? sending.dataset.waits : "";
    if (code === 0 || code >= 500) {
      setTimeout(sendFile, 10_000);
    } else {
      file.value = "";
      chosen = null;
    }
    if (code >= 200 && code < 300) {
      problem.replaceChildren();
      keep("elp-opening", (opening = null));
    }
    if (document.activeElement === document.body) setTimeout(() => file.focus({ preventScroll: true }));
  });
  attach.addEventListener("htmx:xhr:progress", (event) => {
    if (!event.detail.lengthComputable || !sending.textContent) return;
    const part = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" }).format(event.detail.loaded / event.detail.total);
    sending.textContent = `${sending.dataset.words} ${part}`;
  });

  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === Node.ELEMENT_NODE);
    if (added.some((message) => message.matches(".operator, .bot"))) {
      for (const sent of log.querySelectorAll(".sent:not(.late)")) {
        if (!added.includes(sent.closest("li"))) sent.remove();
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
