// A field that finds while one types: arrows and Enter choose, the list comes from the server.
const WAIT_MS = 120;

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let box = parentElement.querySelector(":scope > .kw-finder");
  if (!box) {
    box = document.createElement("div");
    box.className = "kw-panel kw-finder";
    box.innerHTML =
      '<input type="text" role="combobox" aria-expanded="false" aria-autocomplete="list" autocomplete="off" spellcheck="false" maxlength="100"><ul role="listbox"></ul>';
    const input = box.querySelector("input");
    const list = box.querySelector("ul");
    list.id = `kw-finder-${Math.random().toString(36).slice(2)}`;
    input.setAttribute("aria-controls", list.id);
    input.addEventListener("input", () => {
      clearTimeout(box.timer);
      box.timer = setTimeout(() => box.state("typed", input.value), WAIT_MS);
    });
    input.addEventListener("keydown", (event) => onKey(box, event));
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps its focus until one is chosen
    list.addEventListener("click", (event) => choose(box, event.target.closest("li")));
    parentElement.appendChild(box);
    requestAnimationFrame(() => input.focus({ preventScroll: true }));
  }
  box.state = setStateValue;
  box.trigger = setTriggerValue;
  box.next = data.next;
  const input = box.querySelector("input");
  input.placeholder = data.placeholder;
  input.setAttribute("aria-label", data.placeholder);
  show(box, data);
}

function show(box, data) {
  const list = box.querySelector("ul");
  list.replaceChildren(
    ...data.matches.map((match, place) => {
      const item = document.createElement("li");
      item.setAttribute("role", "option");
      item.id = `${list.id}-${place}`;
      item.dataset.place = match.place;
      const name = document.createElement("b");
      name.textContent = match.name; // text, never HTML
      const more = document.createElement("span");
      more.textContent = match.more;
      item.append(name, more);
      return item;
    }),
  );
  if (!data.matches.length && data.none) {
    const none = document.createElement("p");
    none.className = "kw-muted";
    none.textContent = data.none;
    list.append(none);
  }
  mark(box, 0);
  const input = box.querySelector("input");
  input.setAttribute("aria-expanded", String(data.matches.length > 0));
  // Enter was pressed before the list was there: choose as soon as it belongs to what was typed.
  if (box.hurry && data.typed === input.value) {
    box.hurry = false;
    choose(box, list.querySelector("li"));
  }
  box.typed = data.typed;
}

function mark(box, place) {
  const items = [...box.querySelectorAll("li")];
  box.place = Math.max(0, Math.min(place, items.length - 1));
  items.forEach((item, one) => item.setAttribute("aria-selected", String(one === box.place)));
  const input = box.querySelector("input");
  if (items.length) {
    input.setAttribute("aria-activedescendant", items[box.place].id);
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function onKey(box, event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    mark(box, box.place + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    const input = box.querySelector("input");
    if (box.typed === input.value) {
      choose(box, box.querySelectorAll("li")[box.place]);
    } else {
      clearTimeout(box.timer);
      box.hurry = true;
      box.state("typed", input.value);
    }
  }
}

function choose(box, item) {
  if (!item || item.dataset.place === undefined) {
    return;
  }
  box.querySelector("input").value = item.querySelector("b").textContent;
  box.querySelector("ul").replaceChildren();
  box.trigger("chosen", item.dataset.place);
  document.querySelector(box.next)?.focus();
}
