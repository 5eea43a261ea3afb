// The document is changed here only, as text and attributes: what the bridge says of others never becomes markup.

const byId = (id) => document.getElementById(id);

/** Make an element; its children are elements or texts, and null is none. */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function draw(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** Put a text in its place, and leave the document alone where it stands there already. */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Put elements in their place if `facts` are others than last time: what is read or focused does not go away. */
function fill(element, facts, build) {
  const key = JSON.stringify(facts);
  if (element.shown === key) return;
  element.shown = key;
  element.replaceChildren(...build());
}

/** Make a moment that tells how far away it is, and, to a pointer, a focus and a screen reader, when exactly. */
function moment(at, form) {
  const made = make("time", { tabindex: "0" }, make("span"), make("span", { class: "exact" }));
  point(made, at, form);
  return made;
}

function point(element, at, form = "{} ago") {
  element.dateTime = new Date(at * 1000).toISOString();
  element.dataset.at = at;
  element.dataset.form = form;
  put(element.lastChild, absolute(at));
  tell(element);
}

/** A moment that should be past and is not shows that the bridge's clock was set back. */
function tell(element) {
  const at = Number(element.dataset.at);
  const form = at > now() + 5 ? element.dataset.form.replace("{} ago", "in {}") : element.dataset.form;
  put(element.firstChild, form.replace("{}", distance(at)));
}

/** Let all moments tell how far away they are now. */
function tick() {
  document.querySelectorAll("time[data-at]").forEach(tell);
}

/** Put pairs of a word and a value into a list; a value is a text, or a moment as `[at, form]`, and null is none. */
function facts(list, pairs) {
  const shown = pairs.filter(([, value]) => value !== null);
  const words = shown.map(([word]) => word);
  fill(list, words, () => words.map((word) => make("div", {}, make("dt", {}, word), make("dd"))));
  shown.forEach(([, value], index) => {
    const place = list.children[index].lastChild;
    const there = place.querySelector("time");
    if (there && Array.isArray(value)) point(there, ...value);  // it may have the focus
    else fill(place, value, () => [Array.isArray(value) ? moment(...value) : value]);
  });
}

/** Make a table of a row of words and rows of texts or elements. */
function table(heads, rows) {
  return make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));
}
