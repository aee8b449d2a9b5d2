// Shows HTML made by the server (escaped there) and tells it what the reader does.
// A refresh replaces the HTML only when it changed, and keeps focus and ticks.
const FRESH_MS = 2000;
const LATE_MS = 8000;

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

// A panel with an address asks for itself: no script runs for that on the server. It fades when nothing comes.
function keepFresh(box, address) {
  if (box.fresh === address) {
    return;
  }
  box.fresh = address;
  box.heard = performance.now();
  clearInterval(box.timer);
  if (address) {
    box.timer = setInterval(() => refresh(box), FRESH_MS);
  }
}

async function refresh(box) {
  if (!box.isConnected) {
    clearInterval(box.timer);
    box.fresh = "";
    return;
  }
  box.classList.toggle("kw-panel-late", performance.now() - box.heard >= LATE_MS);
  if (box.asking) {
    return;
  }
  box.asking = true;
  const address = box.fresh;
  try {
    const answer = await fetch(address, { cache: "no-store" });
    const html = answer.ok ? await answer.text() : "";
    if (html && box.fresh === address) {
      box.heard = performance.now();
      show(box, html);
    }
  } catch {
    // the server is away: the bar says so
  } finally {
    box.asking = false;
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
