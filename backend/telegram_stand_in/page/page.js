"use strict";
const TEXTS = {
  it: {
    title: "Telegram, per provare", what: "Qui fai la parte di chi scrive al bot. Niente arriva davvero a Telegram.",
    people: "Persone", name: "Nome", code: "Lingua del suo Telegram", add: "Aggiungi una persona", page_language: "Lingua di questa pagina",
    locked: "Telefono bloccato: solo le notifiche", wrong: "Telegram avrebbe rifiutato", more: "Altro da inviare", message: "Messaggio",
    send: "Invia", typing: "sta scrivendo…", start: "AVVIA", file: "Foto o documento…", voice: "Nota vocale (silenzio)",
    here: "Posizione: Ivrea, stazione", far: "Posizione: Torino, Porta Susa", contact: "Il mio numero", sticker: "Adesivo",
    block: "Blocca il bot", unblock: "Sblocca il bot", blocked: "bot bloccato", edit: "modifica", edited: "modificato", protected: "protetto",
    silent: "senza suono", bot: "bot", away: "Nessuna risposta dal server di prova.", change: "Nuovo testo del messaggio:",
  },
  en: {
    title: "Telegram, for trying out", what: "Here you are the one who writes to the bot. Nothing reaches the real Telegram.",
    people: "People", name: "Name", code: "Language of their Telegram", add: "Add a person", page_language: "Language of this page",
    locked: "Locked phone: notifications only", wrong: "Telegram would have refused", more: "More to send", message: "Message",
    send: "Send", typing: "is typing…", start: "START", file: "Photo or document…", voice: "Voice note (silence)",
    here: "Location: Ivrea, station", far: "Location: Turin, Porta Susa", contact: "My number", sticker: "Sticker",
    block: "Block the bot", unblock: "Unblock the bot", blocked: "bot blocked", edit: "edit", edited: "edited", protected: "protected",
    silent: "no sound", bot: "bot", away: "The trying-out server does not answer.", change: "New text of the message:",
  },
};
const $ = (id) => document.getElementById(id);
const state = { language: navigator.language.startsWith("it") ? "it" : "en", person: null, people: [], version: "", last: null, opened: new Set(), answer: null, round: 0 };
const say = (key) => TEXTS[state.language][key];

function make(tag, options = {}, ...children) {
  const { className, ...rest } = options;
  const element = Object.assign(document.createElement(tag), rest);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

async function ask(path, body) {
  const wishes = body === undefined ? {} : body instanceof FormData ? { method: "POST", body } : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, wishes);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
const does = (what, more = {}) => ask(`/demo/people/${state.person.id}`, { does: what, ...more }).catch(() => toast(say("away")));

// ---- words with their entities ----

function words(message) {
  const box = make("div", { className: "words", dir: "auto" });
  const borders = new Set([0, message.text.length]);
  for (const one of message.entities) borders.add(one.offset).add(one.offset + one.length);
  const cuts = [...borders].sort((a, b) => a - b);
  for (let place = 0; place + 1 < cuts.length; place++) {
    const over = message.entities.filter((one) => one.offset <= cuts[place] && one.offset + one.length >= cuts[place + 1]);
    box.append(piece(message.text.slice(cuts[place], cuts[place + 1]), over));
  }
  if (state.opened.has(message.id)) box.classList.add("open");
  box.addEventListener("click", (event) => {
    if (event.target.closest(".spoiler") && !state.opened.has(message.id)) {
      event.preventDefault();
      state.opened.add(message.id);
      box.classList.add("open");
    }
  });
  return box;
}

function piece(text, over) {
  const types = over.map((one) => one.type);
  const link = over.find((one) => one.type === "text_link");
  const address = link ? link.url : types.includes("url") ? text : types.includes("phone_number") ? `tel:${text.replace(/[^+\d]/g, "")}` : types.includes("email") ? `mailto:${text}` : null;
  let inner;
  if (address && /^(https?:|tel:|mailto:)/.test(address)) {
    inner = make("a", { href: address, target: "_blank", rel: "noreferrer" }, text);
  } else if (types.includes("bot_command")) {
    inner = make("a", { href: "#", onclick: (event) => { event.preventDefault(); does("send", { text }); } }, text);
  } else {
    inner = document.createTextNode(text);
  }
  return types.length ? make("span", { className: types.join(" ") }, inner) : inner;
}

// ---- messages ----

function bubble(message) {
  const parts = [];
  if (message.file && message.kind === "photo") parts.push(make("img", { src: `/demo/files/${message.file.id}`, alt: "" }));
  else if (message.file && message.kind === "voice") parts.push(make("audio", { src: `/demo/files/${message.file.id}`, controls: true }));
  else if (message.file) parts.push(make("a", { href: `/demo/files/${message.file.id}`, download: message.file.name || "file" }, `📎 ${message.file.name || message.kind}`));
  if (message.venue) parts.push(make("div", { className: "place", dir: "auto" }, make("strong", {}, message.venue.title), make("br"), message.venue.address, make("br"), `📍 ${message.venue.location.latitude}, ${message.venue.location.longitude}`));
  if (message.contact) parts.push(make("a", { href: `tel:${message.contact.phone_number}` }, `👤 ${message.contact.first_name} ${message.contact.phone_number}`));
  if (message.own && ["location", "contact", "sticker"].includes(message.kind)) parts.push({ location: "📍", contact: "👤", sticker: "👍" }[message.kind]);
  if (message.text) parts.push(words(message));
  return make("div", { className: "bubble" }, ...parts, foot(message));
}

function foot(message) {
  const notes = ["edited", "protected", "silent"].filter((note) => message[note]).map(say);
  const edit = message.own && message.kind === "text" ? make("button", { type: "button", onclick: () => change(message) }, say("edit")) : null;
  return notes.length || edit ? make("div", { className: "foot" }, notes.join(" · "), edit) : null;
}

function change(message) {
  const text = window.prompt(say("change"), message.text);
  if (text && text.trim()) does("edit", { message: message.id, text });
}

function buttons(message) {
  const rows = (message.buttons || []).map((row) => make("div", { className: "row" }, ...row.map((one) => {
    if (one.url) return make("a", { href: one.url, target: "_blank", rel: "noreferrer", dir: "auto" }, `${one.text} ↗`);
    if (one.copies) return make("button", { type: "button", dir: "auto", onclick: () => navigator.clipboard.writeText(one.copies) }, `${one.text} ⧉`);
    return make("button", { type: "button", dir: "auto", onclick: () => does("press", { message: message.id, data: one.data }) }, one.text);
  })));
  return rows.length ? make("div", { className: "rows" }, ...rows) : null;
}

function show() {
  const { messages } = state.last;
  const locked = $("locked").checked;
  const shown = locked ? messages.filter((message) => !message.own) : messages;
  $("log").replaceChildren(...shown.map((message) => make("div", { className: message.own ? "message own" : "message" },
    locked ? make("div", { className: "bubble", dir: "auto" }, `🔒 ${message.notification}`) : bubble(message), locked ? null : buttons(message))));
  if (!messages.length) $("log").append(make("button", { onclick: () => does("send", { text: "/start" }) }, say("start")));
  $("log").scrollTop = $("log").scrollHeight;
  $("state").textContent = state.last.blocked ? say("blocked") : state.last.typing ? say("typing") : say("bot");
  clearTimeout(state.quiet);
  state.quiet = setTimeout(() => { if (!state.last.blocked) $("state").textContent = say("bot"); }, 5500);
  keyboard();
}

function keyboard() {
  const rows = (state.last.keyboard && state.last.keyboard.keyboard) || [];
  $("keyboard").replaceChildren(...rows.map((row) => make("div", { className: "row" }, ...row.map((one) => make("button", { type: "button", dir: "auto", onclick: () => tap(one) }, one.text)))));
}

function tap(one) {
  if (one.request_contact) does("contact");
  else if (one.request_location) does("location", HERE);
  else does("send", { text: one.text });
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  setTimeout(() => { $("toast").hidden = true; }, 4000);
}

// ---- what can be sent ----

const HERE = { latitude: 45.4622, longitude: 7.8747 };
const FAR = { latitude: 45.0717, longitude: 7.6652 };

async function menu() {
  const bot = await ask(`/demo/bot?language_code=${encodeURIComponent((state.person.language_code || "").slice(0, 2))}`);
  const items = [
    ...bot.commands.map((one) => [`/${one.command} – ${one.description}`, () => does("send", { text: `/${one.command}` })]),
    [say("file"), () => $("file").click()], [say("voice"), () => does("voice")], [say("here"), () => does("location", HERE)], [say("far"), () => does("location", FAR)],
    [say("contact"), () => does("contact")], [say("sticker"), () => does("sticker")],
    state.last && state.last.blocked ? [say("unblock"), () => does("unblock")] : [say("block"), () => does("block")],
  ];
  $("menu").replaceChildren(...items.map(([label, action]) => make("button", { type: "button", dir: "auto", onclick: () => { fold(); action(); } }, label)));
}

function fold(open = false) {
  $("menu").hidden = !open;
  $("more").setAttribute("aria-expanded", String(open));
}

async function violations() {
  const found = (await ask("/demo/bot")).violations;
  $("wrong").hidden = !found.length;
  $("wrong").firstElementChild.textContent = `${say("wrong")} (${state.last.violations})`;
  $("wrong").lastElementChild.replaceChildren(...found.map((one) => make("li", {}, one)));
}

// ---- people ----

function list() {
  $("people").replaceChildren(...state.people.map((person) => make("li", {}, Object.assign(make("button", { type: "button", onclick: () => choose(person) }, `${person.name} (${person.language_code})`), { ariaCurrent: String(state.person && person.id === state.person.id) }))));
}

async function choose(person) {
  state.person = person;
  state.version = "";
  document.body.classList.remove("choosing");
  location.hash = person.id;
  fold();
  list();
  $("bot-name").textContent = (await ask(`/demo/bot?language_code=${encodeURIComponent((person.language_code || "").slice(0, 2))}`)).name;
  follow(++state.round);
}

async function follow(round) {
  while (round === state.round) {
    try {
      const news = await ask(`/demo/people/${state.person.id}?version=${state.version}`);
      if (round !== state.round) return;
      state.version = news.version;
      if (news.messages) taken(news);
    } catch {
      toast(say("away"));
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

function taken(news) {
  const before = JSON.stringify({ ...state.last, version: 0 });
  const answered = news.answer && (!state.last || !state.last.answer || state.last.answer[0] !== news.answer[0]);
  const wrong = !state.last || state.last.violations !== news.violations;
  state.last = news;
  if (JSON.stringify({ ...news, version: 0 }) !== before) show();
  if (answered && news.answer[1]) toast(news.answer[1]);
  if (wrong) violations();
}

function texts() {
  document.documentElement.lang = state.language;
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
}

async function begin() {
  texts();
  $("page-language").value = state.language;
  state.people = await ask("/demo/people");
  if (!state.people.length) state.people.push(await ask("/demo/people", { name: "Amina", language_code: "ar" }), await ask("/demo/people", { name: "Marco", language_code: "it" }));
  list();
  await choose(state.people.find((person) => String(person.id) === location.hash.slice(1)) || state.people[0]);
}

$("page-language").addEventListener("change", (event) => { state.language = event.target.value; texts(); if (state.last) { show(); violations(); } });
$("locked").addEventListener("change", () => state.last && show());
$("back").addEventListener("click", () => document.body.classList.add("choosing"));
$("more").addEventListener("click", async () => { if ($("menu").hidden) await menu(); fold($("menu").hidden); });
$("new-person").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const person = await ask("/demo/people", { name: form.get("name"), language_code: form.get("language_code") });
  state.people.push(person);
  event.target.reset();
  choose(person);
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  $("text").value = "";
  if (text.trim()) does("send", { text });
});
$("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); $("composer").requestSubmit(); } });
$("file").addEventListener("change", async (event) => {
  const form = new FormData();
  form.append("file", event.target.files[0]);
  event.target.value = "";
  await ask(`/demo/people/${state.person.id}/files`, form).catch(() => toast(say("away")));
});
begin().catch(() => toast(say("away")));
