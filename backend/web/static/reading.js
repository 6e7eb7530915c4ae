// Reads aloud, listens, shows, saves, sends on. Buttons come hidden from the server (_tools.html, _reading.html); those
// that this browser can act on are shown here.
(() => {
  "use strict";
  const log = document.getElementById("log");
  const spare = document.getElementById("spare");
  const told = document.getElementById("told");
  if (!log || !spare || !told) return;
  const language = document.documentElement.lang;
  const voices = window.speechSynthesis;
  // Chromium knows what the page around us has forbidden; elsewhere it shows when it is tried.
  const rules = document.featurePolicy;
  const allowed = (feature) => !rules || !rules.features().includes(feature) || rules.allowsFeature(feature);
  const copies = Boolean(navigator.clipboard) && allowed("clipboard-write");
  const shares = Boolean(navigator.share) && allowed("web-share");
  const made = (selector) => spare.content.querySelector(selector).cloneNode(true);

  let quiet = 0;
  const tell = (sentence, seconds = 5) => {
    clearTimeout(quiet);
    told.textContent = sentence;
    if (seconds) quiet = setTimeout(() => (told.textContent = ""), seconds * 1_000);
  };
  const failed = () => tell(told.dataset.failed);

  // ---- text ----

  // Pieces of text in the order of reading. A link or a name that fills a line is a piece of its own.
  const PIECE = "dd a, dd > bdi, .source a, li, dt, dd, p, h2, summary, figcaption";
  const APART = ".tools, .copy, .listen, .visually-hidden, .sent, .file, .original, .shown button, [hidden]";
  const CLOSED = "details:not([open]) > :not(summary)";
  const pieces = (root, apart) => {
    const found = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()); ) {
      const place = node.parentElement;
      if (!node.data.trim() || place.closest(APART) || place.closest(apart)) continue;
      const element = place.closest(PIECE) || place;
      // «0125 49515» keeps its order in a text from right to left, also where there is no markup any more (UAX #9).
      const text = place.closest("bdi[dir='ltr']") ? `\u2066${node.data}\u2069` : node.data;
      const last = found[found.length - 1];
      if (last && last.element === element) last.text += text;
      else found.push({ element, text, language: place.closest("[lang]").lang });
    }
    for (const piece of found) piece.text = piece.text.replace(/\s+/g, " ").trim();
    return found;
  };

  // ---- reading aloud ----

  // The most likely region of a language (CLDR): «zh-CN», not the «zh-HK» that comes first in the list of voices.
  const withRegion = (code) => {
    const { language: base, region } = new Intl.Locale(code).maximize();
    return `${base}-${region}`;
  };
  // Only voices of the device: with others, what an operator wrote would be sent to the maker of the voice.
  const tag = (voice) => voice.lang.replace(/_/g, "-").toLowerCase();
  const findVoice = (code) => {
    if (!voices || !code) return undefined;
    const [wanted, base] = [withRegion(code).toLowerCase(), code.split("-")[0]];
    const able = voices.getVoices().filter((voice) => voice.localService && tag(voice).split("-")[0] === base);
    return able.find((voice) => tag(voice).startsWith(wanted)) || able[0];
  };

  let reading = null;
  let spoken = null;
  const mark = (element) => {
    if (spoken) spoken.classList.remove("spoken");
    spoken = element;
    if (spoken) spoken.classList.add("spoken");
  };
  const relabel = (button) => {
    const words = button.firstElementChild;
    [words.textContent, button.dataset.other] = [button.dataset.other, words.textContent];
    button.classList.toggle("reading");
  };
  const hush = () => {
    if (!reading) return;
    const { button } = reading;
    reading = null;
    voices.cancel();
    mark(null);
    relabel(button);
  };
  const silence = () => {
    hush();
    document.dispatchEvent(new Event("elp-silence")); // dictation.js hears it, when it is there
  };

  // Short pieces: Chromium falls silent in the middle of long ones. Figures one by one: nobody dials «forty-nine thousand».
  const sentences = ({ element, text }) => {
    const plain = text.replace(/[\u2066\u2069]/g, "");
    const said = element.closest("a[href^='tel:']") ? plain.replace(/\d/g, "$& ") : plain;
    return said.match(/.+?(?:[.!?؟…](?=\s)|[।。！？]|$)/gu) || [];
  };
  const readAloud = (button, root) => {
    const again = reading && reading.button === button;
    silence();
    if (again) return;
    const own = findVoice(root.closest("[lang]").lang);
    const mine = { button, kept: [] }; // what is not kept is forgotten by some browsers before its end
    for (const piece of pieces(root, root.querySelector(".card") ? `${CLOSED}, .choices` : CLOSED)) {
      const voice = findVoice(piece.language) || own;
      if (!voice) continue;
      for (const sentence of sentences(piece)) {
        const said = new SpeechSynthesisUtterance(sentence);
        Object.assign(said, { voice, lang: voice.lang });
        said.onstart = () => reading === mine && mark(piece.element);
        mine.kept.push(said);
      }
    }
    const last = mine.kept[mine.kept.length - 1];
    if (!last) return;
    last.onend = last.onerror = () => reading === mine && hush();
    reading = mine;
    relabel(button);
    mine.kept.forEach((said) => voices.speak(said));
  };

  // ---- dictation ----

  const speak = document.getElementById("speak");
  if (speak && (window.SpeechRecognition || window.webkitSpeechRecognition) && allowed("microphone")) speak.hidden = false;
  const dictate = () => {
    hush();
    import(told.dataset.dictation).then((loaded) => loaded.dictate({ code: withRegion(language), tell, toggled: () => relabel(speak) }), failed);
  };

  // ---- showing ----

  const openShown = (need, own, from) => {
    const dialog = made("dialog");
    const [italian, below] = dialog.querySelectorAll(".need, .own");
    italian.textContent = need;
    Object.assign(below, { textContent: own || "", lang: from.lang, dir: from.dir });
    dialog.querySelector(".read").hidden = !findVoice("it");
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      hush();
      dialog.remove();
    });
    dialog.showModal();
  };
  const doorOf = (card) => Array.from(card.querySelectorAll(".door bdi"), (one) => one.textContent.trim()).join("\n");
  const shown = (tools) => openShown(tools.dataset.need || doorOf(tools.closest(".card")), tools.dataset.own, tools);
  const canShow = "HTMLDialogElement" in window;

  // The button under an answer asks the server for a message to hold up. What is here already needs no network.
  document.addEventListener("click", (event) => {
    const button = event.target.closest('button[name="choice"][value^="show:"]');
    const entry = button && CSS.escape(button.value.slice("show:".length));
    const tools = entry && canShow && [...log.querySelectorAll(`.tools[data-entry="${entry}"]`)].pop();
    if (!tools) return;
    event.preventDefault();
    shown(tools);
  }, true);

  // Browsers that hide what they are give back other pixels than were drawn: nobody could read such a picture.
  const drawsTruly = (() => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.fillStyle = "#c81e5a";
    pen.fillRect(0, 0, 9, 9);
    return String(pen.getImageData(4, 4, 1, 1).data) === "200,30,90,255";
  })();

  // ---- paper, others, clipboard ----

  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = [...log.querySelectorAll(".card details:not([open])")];
    unfolded.forEach((details) => (details.open = true));
  });
  window.addEventListener("afterprint", () => {
    unfolded.forEach((details) => (details.open = false));
    log.classList.remove("one");
    log.querySelectorAll(".printed").forEach((card) => card.classList.remove("printed"));
  });
  const print = (card) => {
    log.classList.add("one");
    card.classList.add("printed");
    window.print();
  };

  const copy = (words) => navigator.clipboard.writeText(words).then(() => tell(told.dataset.copied), failed);
  const take = (button, act) => {
    const card = cardOf(button);
    import(told.dataset.taking).then((taking) => act(taking, pieces(card, "summary"), card)).catch(failed);
  };
  const share = async (text) => {
    try {
      await navigator.share({ text });
    } catch (error) {
      if (error.name !== "AbortError") await copy(text);
    }
  };

  // ---- maps ----

  const OSM = "https://www.openstreetmap.org/";
  const android = /android/i.test(navigator.userAgent);
  const apple = /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
  const toTheApp = (link) => {
    const point = /#map=\d+\/(-?[\d.]+)\/(-?[\d.]+)$/.exec(link.href);
    const place = point ? `${point[1]},${point[2]}` : encodeURIComponent(new URL(link.href).searchParams.get("query") || "");
    if (!place) return;
    link.dataset.web = link.href;
    link.href = android ? `geo:${point ? place : "0,0"}?q=${place}` : `https://maps.apple.com/?q=${place}`;
    if (android) link.removeAttribute("target"); // an empty window would stay behind
  };

  // ---- buttons ----

  const cardOf = (button) => button.closest(".card");
  const does = {
    read: (button) => {
      const [message, card] = [button.closest(".message"), cardOf(button)];
      // The words above its only card belong to it.
      readAloud(button, card && message.querySelectorAll(".card").length > 1 ? card : message || button.closest(".shown"));
    },
    show: (button) => shown(button.closest(".tools")),
    close: (button) => button.closest("dialog").close(),
    leave: () => document.querySelector("form.leave").requestSubmit(),
    print: (button) => print(cardOf(button)),
    image: (button) => take(button, ({ save }, ...what) => save(...what)),
    share: (button) => take(button, ({ inWords }, ...what) => share(inWords(...what))),
    text: (button) => take(button, ({ inWords }, ...what) => copy(inWords(...what))),
    copy: (button) => copy(button.dataset.value),
    dictate,
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-does]");
    if (button && button.dataset.does in does) does[button.dataset.does](button);
  });

  const FACTS = ".row.phone dd a, .row.email dd a, .row.where dd bdi, .row.where dd a";
  const putCopy = (fact) => {
    const button = made(".copy");
    const words = fact.textContent.trim();
    button.dataset.value = fact.protocol === "tel:" ? fact.pathname : words;
    button.setAttribute("aria-label", `${button.getAttribute("aria-label")}: ${words}`);
    fact.after(button);
  };
  const dress = (message) => {
    for (const tools of message.querySelectorAll(".tools")) {
      const can = {
        read: findVoice(cardOf(tools).closest("[lang]").lang),
        show: canShow && !message.querySelector('[value^="show:"]') && (tools.dataset.need || doorOf(cardOf(tools))),
        image: drawsTruly,
        print: window.print,
        share: shares,
        text: copies && !shares,
      };
      for (const button of tools.querySelectorAll("[data-does]")) button.hidden = !can[button.dataset.does];
      tools.hidden = false;
    }
    const words = [...message.querySelectorAll(":scope > .text, :scope > .numbers")].pop();
    if (words && findVoice(message.lang) && !message.matches(".person") && !message.querySelector(".listen, .card:only-of-type")) words.after(made(".listen"));
    if (message.dataset.dressed) return;
    message.dataset.dressed = "";
    if (copies) message.querySelectorAll(FACTS).forEach(putCopy);
    if (android || apple) message.querySelectorAll(`a[href^="${OSM}"]`).forEach(toTheApp);
  };
  const dressAll = () => log.querySelectorAll(".message").forEach(dress);
  dressAll();
  if (voices && voices.addEventListener) voices.addEventListener("voiceschanged", dressAll);

  new MutationObserver((changes) => {
    for (const message of changes.flatMap((change) => [...change.addedNodes])) {
      if (!(message instanceof Element) || !message.matches(".message")) continue;
      dress(message);
      const [need, own] = message.matches(".show") && canShow && document.hasFocus() ? message.querySelectorAll(".text") : [];
      if (need) openShown(need.textContent, own && own.textContent, message);
    }
  }).observe(log, { childList: true });

  // Whoever leaves or hides the page in a hurry must not be given away by a voice that goes on.
  window.addEventListener("pagehide", silence);
  document.addEventListener("visibilitychange", () => document.hidden && silence());
  new MutationObserver(() => log.isConnected || silence()).observe(document.body, { childList: true });
})();
