// Speech into the field. Loaded when it is asked for. What is spoken goes to the maker of the browser: that is said before.

const Recognition = window.SpeechRecognition || window.webkitSpeechRecognition;
const TROUBLES = { aborted: "", "no-speech": "nothing", "not-allowed": "refused", "service-not-allowed": "refused" };
const AGREED = "elp-hears"; // for this window until it is closed
const text = document.getElementById("text");
const hears = document.getElementById("hears");
const words = document.getElementById("told").dataset;
const [yes, no] = hears.querySelectorAll("button");
let running = null;
let reading = null;

const session = (act, ...what) => {
  try {
    return sessionStorage[act](AGREED, ...what);
  } catch {
    return null; // a browser that keeps nothing asks each time
  }
};

const end = (trouble) => {
  running = null;
  reading.toggled();
  reading.tell(trouble ? words[trouble] : "");
};

const listen = () => {
  const mine = new Recognition();
  const before = text.value.trimEnd();
  let trouble = "nothing";
  mine.lang = reading.code;
  mine.interimResults = true;
  mine.onresult = ({ results }) => {
    if (running !== mine) return;
    const said = Array.from(results, (result) => result[0].transcript).join("").trim();
    text.value = before && said ? `${before} ${said}` : before || said;
    text.dispatchEvent(new Event("input", { bubbles: true }));
    if (said) trouble = "";
  };
  mine.onerror = ({ error }) => (trouble = error in TROUBLES ? TROUBLES[error] : "broken");
  mine.onend = () => {
    if (running !== mine) return;
    end(trouble);
    if (!trouble) text.focus();
  };
  running = mine;
  reading.toggled();
  reading.tell(words.listening, 0);
  try {
    mine.start();
  } catch {
    end("broken");
  }
};

// At once: what comes later is not written any more.
const stop = () => {
  if (!running) return;
  const mine = running;
  end("");
  mine.abort();
};

// `code`: language with its region, as «it-IT»; Safari knows no shorter ones. `toggled` is called at begin and end.
export const dictate = ({ code, tell, toggled }) => {
  reading = { code, tell, toggled };
  if (running) return running.stop(); // with what was said so far
  if (session("getItem")) return listen();
  hears.hidden = false;
  yes.focus();
};

yes.addEventListener("click", () => {
  session("setItem", "1");
  hears.hidden = true;
  listen();
});
no.addEventListener("click", () => {
  hears.hidden = true;
  text.focus();
});
// Words that come after the message was sent must not fill the empty field again.
document.addEventListener("submit", stop, true);
document.addEventListener("elp-silence", stop);
text.addEventListener("keydown", stop);
