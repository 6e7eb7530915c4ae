// A card to take away, as a picture or as words. `pieces`: of its text, as reading.js finds them. Loaded when asked for.

const WIDTH = 360; // CSS pixels: as large on a narrow phone as the text of the page
const EDGE = 16;
const SHARP = 2; // pixels for a CSS pixel: sharp enough, and half as much to send on as three
const LARGEST = 16_000_000; // pixels; iOS draws nothing on a larger canvas
const LINE = 1.45;
// Chinese is broken between any two signs, except before punctuation; other languages where there is a space.
const WORDS =
  /[\u2e80-\u2fff\u3040-\u9fff\uf900-\ufaff][\u3000-\u303f\uff00-\uff1f]*|[^\s\u2e80-\u2fff\u3040-\u9fff\uf900-\ufaff]+\s*|\s+/gu;

const wrap = (pen, words) => {
  const holds = (some) => pen.measureText(some.trimEnd()).width <= WIDTH - 2 * EDGE;
  const lines = [];
  let line = "";
  for (const word of words.match(WORDS) || []) {
    if (line && !holds(line + word)) {
      lines.push(line);
      line = "";
    }
    line += word;
    while (!holds(line)) {
      const letters = Array.from(line);
      let count = letters.length - 1;
      while (count > 1 && !holds(letters.slice(0, count).join(""))) count--;
      lines.push(letters.slice(0, count).join(""));
      line = letters.slice(count).join("");
    }
  }
  return isolated([...lines, line]);
};

// A name that goes on in the next line begins there again (UAX #9: isolates end with their paragraph).
const isolated = (lines) => {
  let open = "";
  return lines.map((line) => {
    const whole = open + line;
    for (const sign of line) {
      if (/[\u2066-\u2068]/.test(sign)) open += sign;
      else if (sign === "\u2069") open = open.slice(0, -1);
    }
    return whole;
  });
};

// A picture has no links: the source is named, and «open the map» would promise too much.
const written = ({ element, text }) => (element.matches(".source a") ? `${text}: \u2066${element.hostname}\u2069` : marker(element) + text);
const fits = ({ element }) => !element.closest(".row.map");

const marker = (element) => {
  const item = element.closest("dd li");
  if (!item) return "";
  const at = [...item.parentElement.children].indexOf(item) + 1;
  return item.parentElement.matches("ol") ? `${new Intl.NumberFormat(item.closest("[lang]").lang).format(at)}. ` : "• ";
};

// Every line with its place, before anything is drawn: the height of the picture follows from it.
const lay = (pen, pieces, ink) => {
  const lines = [];
  let y = EDGE;
  for (const piece of pieces.filter(fits)) {
    const { element } = piece;
    const { fontWeight, fontSize, fontFamily, direction, color } = getComputedStyle(element);
    const size = parseFloat(fontSize);
    const font = `${fontWeight} ${size}px ${fontFamily}`;
    Object.assign(pen, { font, direction });
    if (element.matches("dt, .lead, p.source, .notes :first-child")) y += size * 0.7;
    for (const line of wrap(pen, written(piece))) {
      lines.push({ line: line.trimEnd(), y, style: { font, direction, fillStyle: element.matches("dt") ? color : ink } });
      y += size * LINE;
    }
  }
  return { lines, height: Math.ceil(y + EDGE) };
};

const draw = (pieces, card) => {
  const { color, backgroundColor, direction } = getComputedStyle(card);
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const { lines, height } = lay(pen, pieces, color);
  const scale = Math.min(SHARP, Math.sqrt(LARGEST / (WIDTH * height)));
  canvas.width = Math.floor(WIDTH * scale);
  canvas.height = Math.floor(height * scale);
  pen.scale(scale, scale);
  pen.fillStyle = backgroundColor;
  pen.fillRect(0, 0, WIDTH, height);
  const toTheLeft = direction === "rtl";
  Object.assign(pen, { textBaseline: "top", textAlign: toTheLeft ? "right" : "left" });
  for (const { line, y, style } of lines) {
    Object.assign(pen, style);
    pen.fillText(line, toTheLeft ? WIDTH - EDGE : EDGE, y);
  }
  return canvas;
};

// Puts `info.png`, a name that says nothing of what it is about, where the browser keeps what is downloaded.
export const save = async (pieces, card) => {
  const blob = await new Promise((done) => draw(pieces, card).toBlob(done, "image/png"));
  if (!blob) throw new Error("nothing was drawn");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "info.png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

const address = (link) => link.dataset.web || link.href;

export const inWords = (pieces) =>
  pieces
    .map(({ element, text }) => {
      const links = [element, ...element.querySelectorAll("a")].filter((link) => link.href && address(link).startsWith("http"));
      return [element.matches("dt") ? `\n${text}:` : text, ...links.map(address)].join("\n");
    })
    .join("\n");
