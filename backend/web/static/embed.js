// Puts the chat on any site: a button, and a panel with the conversation in a frame. See docs/embedding.md.
// It leaves one element at the end of the page, sets no name and no style outside it, and asks our server for nothing
// before somebody opens the panel. Served as /embed.js, which fills in the settings; written to stay below 3 kB.
((settings) => {
  "use strict";
  const doc = document;
  const { src, dataset } = doc.currentScript || {};
  if (!src) return;
  const { origin } = new URL(src);
  const wishes = [dataset.language, ...navigator.languages].map((one) => (one || "").toLowerCase().split("-")[0]);
  const language = wishes.find((one) => one in settings.words) || "it";
  const [open, close, away, dir] = settings.words[language];
  const address = (path) => `${origin}${path}=${language}${dataset.topic ? `&topic=${encodeURIComponent(dataset.topic)}` : ""}`;

  // Sizes follow the letters the person has chosen for the browser, not those of the page.
  const small = "(max-width: 30em), (max-height: 30em)";
  const styles = `
    * { box-sizing: border-box; font: inherit; color: inherit; text-decoration: none; }
    .open, dialog { position: fixed; inset: auto; inset-block-end: 1em; inset-inline-end: 1em; z-index: 2147483647; max-width: calc(100% - 2em); font: 1em/1.4 system-ui, sans-serif; box-shadow: 0 2px 1em #0006; }
    .open { padding: .75em 1.2em; border: 2px solid; border-radius: 2em; background: #17606e; color: #fff; font-weight: 600; cursor: pointer; }
    dialog { margin: 0; padding: 0; width: 25em; height: 42em; max-height: calc(100% - 2em); border: 1px solid; border-radius: 1em; overflow: hidden; background: Canvas; color: CanvasText; color-scheme: light dark; }
    dialog[open], .bar { display: flex; flex-direction: column; }
    .bar { flex-direction: row; align-items: center; }
    .bar b { flex: 1; padding: 0 1em; font-weight: 600; }
    .bar :is(a, button) { width: 2.9em; padding: .75em 0; border: 0; background: none; text-align: center; cursor: pointer; }
    :focus-visible { outline: 3px solid; outline-offset: -3px; }
    iframe { flex: 1; border: 0; }
    @media ${small} {
      dialog { inset: 0; width: 100%; height: 100%; max-width: none; max-height: none; border: 0; border-radius: 0; }
    }
    @media print { .open, dialog { display: none !important; } }
    [hidden] { display: none; }`;

  const make = (name, attributes, ...inside) => {
    const made = doc.createElement(name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...inside);
    return made;
  };
  // The place of what floats follows the direction of the page; what is written, that of its language.
  const words = (name, attributes) => make(name, { lang: language, dir, ...attributes }, open);
  const elsewhere = (attributes, inside) => make("a", { href: address("/?language"), target: "_blank", rel: "noopener", title: away, ...attributes }, inside);

  const panel = () => {
    const button = make("button", { class: "open", type: "button", "aria-haspopup": "dialog" }, words("span"));
    const shut = make("button", { type: "button", title: close, "aria-label": close }, "✕");
    const frame = make("iframe", { title: open, referrerpolicy: "no-referrer", allow: "microphone;clipboard-write;fullscreen" });
    const bar = make("div", { class: "bar", lang: language, dir }, words("b"), elsewhere({ "aria-label": away }, "↗"), shut);
    const box = make("dialog", { "aria-label": open, lang: language }, bar, frame);

    let gone;
    const leave = () => {
      if (gone) return;
      gone = true;
      doc.title = "\u200b";
      doc.documentElement.style.setProperty("display", "none", "important");
      location.replace(settings.exit);
    };
    // Escape closes; pressed three times it leaves, wherever the second and the third one fall.
    let pressed = [];
    const escape = () => {
      const now = performance.now();
      pressed = pressed.filter((at) => now - at < 2e3);
      if (!box.open && !pressed[0]) return;
      pressed.push(now);
      if (!pressed[2]) return box.close();
      // It erases, and answers that it is gone.
      frame.contentWindow.postMessage("elp-leave", origin);
      setTimeout(leave, 300);
    };
    button.onclick = () => {
      if (!frame.src) frame.src = address("/embed/?suggest");
      if (matchMedia(small).matches) box.showModal();
      else box.show();
      button.hidden = true;
      frame.focus();
    };
    shut.onclick = () => box.close();
    box.onclose = () => {
      button.hidden = false;
      button.focus();
    };
    addEventListener("keydown", (event) => event.key === "Escape" && !event.repeat && escape());
    addEventListener("message", (event) => {
      if (event.source !== frame.contentWindow || event.origin !== origin) return;
      if (event.data === "elp-leave") leave();
      if (event.data === "elp-escape") escape();
    });
    return [button, box];
  };

  // Everything a site's own styles could say of our element is taken back.
  const put = () => {
    if (doc.querySelector("elp-chat")) return;
    const host = make("elp-chat");
    host.style.cssText = "all: initial !important";
    const root = host.attachShadow({ mode: "open" });
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(styles);
      // Needs no word in the site's own policy.
      root.adoptedStyleSheets = [sheet];
    } catch {
      root.append(make("style", {}, styles));
    }
    root.append(...(settings.origins.includes(location.origin) ? panel() : [elsewhere({ class: "open" }, words("span"))]));
    doc.body.append(host);
  };
  if (doc.body) put();
  else addEventListener("DOMContentLoaded", put);
})(__SETTINGS__);
