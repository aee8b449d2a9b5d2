// Shows HTML made by the server (escaped there) and tells it what the reader does.
// A refresh replaces the HTML only when it changed, and keeps focus and ticks.
const FRESH_MS = 2000;
const LATE_MS = 8000;
const GIVE_UP_MS = 10000;
const RENEW_MS = 10000;
const asking = (window.keepwarmFresh ??= { boxes: new Set() });

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let box = parentElement.querySelector(":scope > .kw-panel");
  if (!box) {
    box = document.createElement("div");
    box.className = "kw-panel";
    box.picked = new Set();
    box.addEventListener("click", (event) => onClick(box, event));
    box.addEventListener("change", (event) => onChange(box, event));
    parentElement.appendChild(box);
  }
  box.trigger = setTriggerValue;
  box.state = setStateValue;
  if (box.forgot === undefined && data.ticked.length) {
    box.picked = new Set(data.ticked);
    box.state("picked", data.ticked);
  }
  if (box.forgot !== undefined && box.forgot !== data.forget && box.picked.size) {
    box.picked.clear();
    restoreTicks(box);
    box.state("picked", []);
  }
  box.forgot = data.forget;
  show(box, data.html);
  keepFresh(box, data.fresh);
}

function show(box, html) {
  if (box.shown === html) {
    return;
  }
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  box.innerHTML = html;
  box.shown = html;
  restoreTicks(box);
  if (box.querySelector("[data-sign-in]")) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (focused) {
    box.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

// A panel with a name asks for itself, together with the others of its page: no script runs for that on the server. It fades when
// nothing comes.
function keepFresh(box, name) {
  if (box.fresh === name) {
    return;
  }
  box.fresh = name;
  box.heard = performance.now();
  if (name) {
    asking.boxes.add(box);
    asking.timer ??= setInterval(refresh, FRESH_MS);
  } else {
    asking.boxes.delete(box);
  }
}

async function refresh() {
  const boxes = [...asking.boxes].filter((box) => box.isConnected);
  asking.boxes = new Set(boxes);
  if (!boxes.length) {
    clearInterval(asking.timer);
    asking.timer = undefined;
    return;
  }
  boxes.forEach((box) => box.classList.toggle("kw-panel-late", performance.now() - box.heard >= LATE_MS));
  if (asking.now) {
    return;
  }
  asking.now = true;
  const names = boxes.map((box) => box.fresh);
  try {
    const wanted = new URLSearchParams(names.map((name) => ["panel", name]));
    const answer = await fetch(`/fresh?${wanted}`, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    const found = answer.ok ? await answer.json() : [];
    found.forEach((html, place) => take(boxes[place], names[place], html));
  } catch {
    // the server is away: the bar says so
  } finally {
    asking.now = false;
  }
}

function take(box, name, html) {
  if (html !== null && box.fresh === name) {
    box.heard = performance.now();
    show(box, html);
  } else if (html === null && !(performance.now() - box.renewed < RENEW_MS)) {
    box.renewed = performance.now();
    box.trigger("open", ""); // the server does not know the name any more: the page's script tells it anew
  }
}

function onClick(box, event) {
  const target = event.target.closest("[data-open]");
  if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) {
    return; // the reader's browser opens a new tab by itself
  }
  event.preventDefault();
  box.trigger("open", target.dataset.open);
}

function onChange(box, event) {
  const tick = event.target;
  if (tick.dataset.pick === undefined) {
    return;
  }
  if (tick.dataset.pick === "*") {
    for (const one of box.querySelectorAll("[data-pick]")) {
      if (one.dataset.pick !== "*") {
        one.checked = tick.checked;
        keep(box, one);
      }
    }
  } else {
    keep(box, tick);
  }
  box.state("picked", [...box.picked]);
}

function keep(box, tick) {
  if (tick.checked) {
    box.picked.add(tick.dataset.pick);
  } else {
    box.picked.delete(tick.dataset.pick);
  }
}

function restoreTicks(box) {
  const present = new Set();
  for (const tick of box.querySelectorAll("[data-pick]")) {
    present.add(tick.dataset.pick);
    tick.checked = box.picked.has(tick.dataset.pick);
  }
  const gone = [...box.picked].filter((row) => !present.has(row));
  if (gone.length) {
    gone.forEach((row) => box.picked.delete(row));
    box.state("picked", [...box.picked]);
  }
}
