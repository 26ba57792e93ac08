"use strict";
const by = (id) => document.getElementById(id);
const data = JSON.parse(by("data").textContent);
// A row for each unit, a column for each character of the text, from -127 to 127.
const values = Int8Array.from(atob(data.values), (character) => character.charCodeAt(0));
const letters = [...by("text").children];
const list = by("units"), feature = by("feature"), search = by("search");
const LEVELS = 5;
let found = [], chosen = data.first, cursor = -1;

const signed = (number, digits = 3) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(digits);

function correlation(unit) {
  return data.units[unit].r[feature.selectedIndex];
}

function value(unit, place) {
  return (values[unit * letters.length + place] / 127) * data.units[unit].scale;
}

// The units whose names match the search, the best for the chosen feature first.
function fill() {
  const strength = (unit) => (correlation(unit) === null ? -1 : Math.abs(correlation(unit)));
  const wanted = search.value.trim().toLowerCase();
  found = data.units.map((_, unit) => unit).filter((unit) => data.units[unit].name.includes(wanted));
  found.sort((one, other) => strength(other) - strength(one) || one - other);
  list.replaceChildren(...found.map((unit) => {
    const item = document.createElement("li"), name = document.createElement("span"), r = document.createElement("span");
    item.id = `unit${unit}`;
    item.setAttribute("role", "option");
    name.textContent = data.units[unit].name;
    r.textContent = correlation(unit) === null ? "-" : signed(correlation(unit));
    item.append(name, r);
    item.addEventListener("click", () => choose(unit));
    return item;
  }));
  by("count").textContent = `${found.length} of ${data.units.length} units`;
}

function choose(unit) {
  chosen = unit;
  for (const item of list.children) item.setAttribute("aria-selected", item.id === `unit${unit}`);
  const item = by(`unit${unit}`);
  if (item) {
    list.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  } else {
    list.removeAttribute("aria-activedescendant");
  }
  const { name, scale } = data.units[unit];
  letters.forEach((letter, place) => {
    const level = Math.round((values[unit * letters.length + place] / 127) * LEVELS);
    const colour = level ? `${level < 0 ? "n" : "p"}${Math.abs(level)}` : "";
    letter.className = `${colour} ${letter.textContent === "\n" ? "n" : ""}`.trim();
  });
  by("scale").replaceChildren(...[-5, -3, -1, 0, 1, 3, 5].map((level) => {
    const mark = document.createElement("span");
    if (level) mark.className = `${level < 0 ? "n" : "p"}${Math.abs(level)}`;
    mark.textContent = level ? signed((level / LEVELS) * scale, 2) : "0";
    return mark;
  }));
  const [layer, , place] = name.split("/");
  for (const figure of document.querySelectorAll("figure")) {
    const dots = figure.querySelectorAll("circle");
    dots.forEach((dot) => dot.classList.remove("at"));
    if (figure.dataset.layer === layer) {
      const dot = dots[place];
      dot.classList.add("at");
      figure.querySelector("small").textContent = dot.textContent;
    } else {
      figure.querySelector("small").textContent = "";
    }
  }
  tell();
}

function tell() {
  const { name } = data.units[chosen], r = correlation(chosen);
  const about = r === null ? "" : `, R of ${feature.value} ${signed(r)}`;
  const at = cursor < 0 ? "" : `; at character ${cursor + 1}, ${JSON.stringify(letters[cursor].textContent)}: ` +
    signed(value(chosen, cursor));
  by("said").textContent = `${name}${about}${at}`;
}

function point(place) {
  if (cursor >= 0) letters[cursor].classList.remove("at");
  cursor = place;
  letters[cursor].classList.add("at");
  letters[cursor].scrollIntoView({ block: "nearest" });
  tell();
}

// Where a key leads in a sequence of `length` from the place `now`; undefined for a key that does not move.
function moved(key, now, length, back, on, page) {
  const steps = { [back]: -1, [on]: 1, PageUp: -page, PageDown: page, Home: -length, End: length };
  return key in steps && length ? Math.min(length - 1, Math.max(0, now + steps[key])) : undefined;
}

list.addEventListener("keydown", (event) => {
  const place = moved(event.key, found.indexOf(chosen), found.length, "ArrowUp", "ArrowDown", 10);
  if (place === undefined) return;
  event.preventDefault();
  choose(found[place]);
});
by("text").addEventListener("keydown", (event) => {
  const place = moved(event.key, cursor, letters.length, "ArrowLeft", "ArrowRight", 80);
  if (place === undefined) return;
  event.preventDefault();
  point(place);
});
by("text").addEventListener("click", (event) => {
  if (event.target.tagName === "B") point(letters.indexOf(event.target));
});
search.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  list.focus();
});
search.addEventListener("input", () => {
  fill();
  choose(found.includes(chosen) || !found.length ? chosen : found[0]);
});
feature.addEventListener("change", () => {
  fill();
  choose(found.length ? found[0] : chosen);
});
feature.selectedIndex = data.feature;
fill();
choose(chosen);
