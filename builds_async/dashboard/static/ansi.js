// Untrusted text, made safe to show: styles of a terminal become segments, all other escape sequences are
// dropped, and characters that hide or reverse text become visible.

const SGR = /\x1b\[([\d;:]*)m/g;
const OTHER = /\x1b\[[0-?]*[ -\/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -\/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]/g;
const UNSAFE =
  /[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Cs}|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])/gu;

const code = (character) => {
  const point = character.codePointAt();
  return point > 0xffff ? `\\u{${point.toString(16)}}` : `\\u${point.toString(16).padStart(4, "0")}`;
};
const visible = (text) => text.replace(UNSAFE, code);

// The text without styles and without anything that a terminal would obey.
export const plain = (text) => visible(text.replace(OTHER, "").replace(/\r$/, ""));

// What a terminal shows of a line in which a progress bar goes back to the start to overwrite itself.
function last(line) {
  if (!line.includes("\r")) return line;
  const parts = line.split("\r");
  return parts.findLast((part) => part.replace(OTHER, "").trim()) ?? "";
}

export const shown = (line) => plain(last(line));

// The line in pieces of one style each; together they have the text that `shown` gives.
export function segments(line) {
  const text = last(line);
  if (!text.includes("\x1b")) return [{ text: visible(text), style: null }];
  const pieces = [];
  let [style, at] = [{}, 0];
  const take = (end) => {
    const piece = plain(text.slice(at, end));
    if (piece) pieces.push({ text: piece, style: Object.keys(style).length ? style : null });
  };
  for (const found of text.matchAll(SGR)) {
    take(found.index);
    style = styled(style, found[1]);
    at = found.index + found[0].length;
  }
  take(text.length);
  return pieces;
}

const ON = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const OFF = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"], 39: ["color"], 49: ["ground"] };

function styled(before, parameters) {
  let style = { ...before };
  const codes = parameters.split(";");
  for (let at = 0; at < codes.length; at++) {
    const [number, ...parts] = codes[at].split(":").map(Number);
    if (number === 0) style = {};
    else if (number in ON) style[ON[number]] = true;
    else if (number in OFF) for (const name of OFF[number]) delete style[name];
    else if (number === 38 || number === 48) {
      // 38;5;n and 38;2;r;g;b, or with colons: 38:5:n, 38:2:r:g:b and 38:2:space:r:g:b
      const rest = parts.length ? parts : codes.slice(at + 1, at + 5).map(Number);
      const color = rest[0] === 5 ? indexed(rest[1]) : rest[0] === 2 ? direct(parts.length > 4 ? rest.slice(2) : rest.slice(1)) : null;
      if (color) style[number === 38 ? "color" : "ground"] = color;
      if (!parts.length) at += rest[0] === 5 ? 2 : rest[0] === 2 ? 4 : 0;
    } else if (number >= 30 && number <= 37) style.color = BASIC[number - 30];
    else if (number >= 40 && number <= 47) style.ground = BASIC[number - 40];
    else if (number >= 90 && number <= 97) style.color = BASIC[number - 82];
    else if (number >= 100 && number <= 107) style.ground = BASIC[number - 92];
  }
  return style;
}

const BASIC = [
  [0, 0, 0], [205, 49, 49], [13, 148, 88], [170, 130, 0], [36, 114, 200], [188, 63, 188], [17, 150, 190], [200, 200, 200],
  [110, 110, 110], [241, 76, 76], [35, 200, 120], [220, 190, 40], [59, 142, 234], [214, 112, 214], [41, 184, 219], [255, 255, 255],
];

function indexed(number) {
  if (!(number >= 0 && number <= 255)) return null;
  if (number < 16) return BASIC[number];
  if (number >= 232) return Array(3).fill(8 + 10 * (number - 232));
  const level = (part) => (part ? 55 + 40 * part : 0);
  return [Math.floor((number - 16) / 36), Math.floor((number - 16) / 6) % 6, (number - 16) % 6].map(level);
}

const direct = (rgb) => (rgb.length >= 3 && rgb.slice(0, 3).every((it) => it >= 0 && it <= 255) ? rgb.slice(0, 3) : null);

// --- Contrast

const LIGHT = [255, 255, 255]; // the surfaces of style.css
const DARK = [22, 27, 34];
const ENOUGH = 5; // 4.5 is the least for text; a line may have a tint

const luminance = (rgb) => {
  const [red, green, blue] = rgb.map((it) => (it <= 10 ? it / 3294 : ((it / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

export function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

// The color, moved toward black or white until it can be read on this ground.
function readable(color, ground) {
  const goal = contrast(LIGHT, ground) > contrast([0, 0, 0], ground) ? 255 : 0;
  let result = color;
  for (let part = 0; part <= 1.001 && contrast(result, ground) < ENOUGH; part += 0.05)
    result = color.map((it) => Math.round(it + (goal - it) * part));
  return result;
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;

// Put a style on an element, readable on a light and on a dark page.
export function dress(element, { color, ground, inverse, bold, dim, italic, underline, strike }) {
  if (inverse) [color, ground] = [ground, color];
  if (inverse && !ground) element.classList.add("inverse");
  if (ground) element.style.backgroundColor = css(ground);
  if (ground) element.style.color = css(readable(color ?? LIGHT, ground));
  else if (color && inverse) element.style.color = `light-dark(${css(readable(color, [28, 33, 40]))}, ${css(readable(color, [228, 233, 239]))})`;
  else if (color) element.style.color = `light-dark(${css(readable(color, LIGHT))}, ${css(readable(color, DARK))})`;
  else if (dim) element.classList.add("dim");
  if (bold) element.classList.add("bold");
  if (italic) element.classList.add("italic");
  const lines = [underline && "underline", strike && "line-through"].filter(Boolean).join(" ");
  if (lines) element.style.textDecoration = lines;
}
