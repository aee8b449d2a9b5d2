// The clock of the site goes on between two answers of the server, and says when these stay away.
const LATE_MS = 8000;
const FRESH_MS = 2000;
const GIVE_UP_MS = 10000;
const RELOAD_MS = 24000;

export default function ({ data, parentElement }) {
  let box = parentElement.querySelector(":scope > .kw-bar");
  if (!box) {
    box = document.createElement("div");
    box.className = "kw-bar";
    box.innerHTML =
      '<span class="kw-late" role="status" hidden></span><span class="kw-speed"><span class="kw-date"></span> <span></span></span><time class="kw-clock"><span class="kw-date"></span> <span></span></time>' +
      '<a class="kw-account" href="/account"></a><button type="button" class="kw-theme"></button>';
    box.querySelector(".kw-theme").addEventListener("click", () => turn());
    parentElement.appendChild(box);
  }
  if (box.told === data.local_ms) {
    data = { ...data, local_ms: box.data.local_ms }; // shown again, not sent again: what was heard since is newer
  } else {
    box.told = data.local_ms;
    box.since = performance.now();
  }
  box.data = data;
  const [demo, times] = box.querySelectorAll(".kw-speed span");
  demo.textContent = data.demo;
  times.textContent = data.times === 1 ? "" : `×${data.times}`;
  box.querySelector(".kw-speed").hidden = data.times === 1;
  const account = box.querySelector(".kw-account");
  account.textContent = data.account;
  account.title = data.role;
  const theme = box.querySelector(".kw-theme");
  theme.textContent = isDark() ? "☀" : "☾";
  theme.title = isDark() ? data.light : data.dark;
  theme.setAttribute("aria-label", theme.title);
  document.cookie = `keepwarm_language=${data.language}; path=/; max-age=31536000; samesite=lax`;
  document.documentElement.lang = data.language === "zh" ? "zh-CN" : "en";
  // No clean-up is returned: Streamlit calls that of a run which newer data overtook, while the box stays. The timer ends itself.
  clearInterval(box.timer);
  box.timer = setInterval(() => (box.isConnected ? tick(box) : clearInterval(box.timer)), 500);
  tick(box);
}

function tick(box) {
  const passed = performance.now() - box.since;
  const late = box.querySelector(".kw-late");
  late.hidden = passed < LATE_MS;
  if (!(performance.now() - box.asked < FRESH_MS)) {
    askServer(box);
  }
  const heard = new Date(box.data.local_ms).toISOString().slice(11, 19);
  late.textContent = box.data.late.replace("{time}", heard).replace("{n}", Math.round(passed / 1000));
  document.documentElement.classList.toggle("kw-is-late", passed >= LATE_MS);
  const local = new Date(box.data.local_ms + passed * box.data.times);
  const [date, time] = local.toISOString().slice(0, 19).split("T");
  const [shownDate, shownTime] = box.querySelectorAll(".kw-clock span");
  shownDate.textContent = date;
  shownTime.textContent = time;
}

// What is on the page is of now while the server answers and Streamlit's stream stands. Is the session over, then the login page is
// what helps. The screen on the wall, which nobody touches, loads itself anew once the server answers and Streamlit has not found
// its way back by itself.
async function askServer(box) {
  if (box.asking) {
    return;
  }
  box.asking = true;
  box.asked = performance.now();
  try {
    const answer = await fetch("/now", { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    if (answer.status === 401) {
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    } else if (answer.ok && streams()) {
      box.data = { ...box.data, ...(await answer.json()) };
      box.since = performance.now();
    } else if (answer.ok && box.data.wall && performance.now() - box.since >= RELOAD_MS) {
      location.reload();
    }
  } catch {
    // the server is away: the bar says so, Streamlit connects again by itself
  } finally {
    box.asking = false;
  }
}

function streams() {
  return (document.querySelector(".stApp")?.dataset.testConnectionState ?? "CONNECTED") === "CONNECTED";
}

function isDark() {
  const app = document.querySelector(".stApp");
  return app !== null && getComputedStyle(app).colorScheme === "dark";
}

function turn() {
  localStorage.setItem("keepwarm_theme", isDark() ? "Light" : "Dark");
  location.reload();
}
