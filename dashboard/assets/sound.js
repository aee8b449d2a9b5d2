// A tone while alarms wait for somebody (a panel of the page says how many), made here: nothing is loaded. Off until the reader switches it on; the browser remembers it.
const KEY = "keepwarm_sound";
const EVERY_MS = 4000;
const TONES_HZ = [880, 660];
let audio;

export default function ({ data, parentElement }) {
  let box = parentElement.querySelector(":scope > .kw-sound");
  if (!box) {
    box = document.createElement("div");
    box.className = "kw-sound";
    box.innerHTML = '<button type="button" class="kw-sound-switch" aria-pressed="false"></button><a class="kw-wall-switch"></a>';
    box.querySelector("button").addEventListener("click", () => turn(box));
    parentElement.appendChild(box);
  }
  box.data = data;
  const link = box.querySelector("a");
  link.textContent = data.wall ? data.leave : data.enter;
  link.href = data.wall ? "/" : "/?mode=wall";
  link.target = "_self";
  clearInterval(box.timer);
  box.timer = setInterval(() => (box.isConnected ? tick(box) : clearInterval(box.timer)), 500);
  tick(box);
}

function tick(box) {
  const on = isOn();
  const blocked = on && ready()?.state !== "running";
  const button = box.querySelector("button");
  const icon = `/assets/icons.svg?v=${box.data.version}#${on && !blocked ? "sound" : "mute"}`;
  if (button.dataset.icon !== icon) {
    button.dataset.icon = icon;
    button.innerHTML = '<svg class="kw-icon" aria-hidden="true"><use></use></svg><span></span>';
    button.querySelector("use").setAttribute("href", icon);
  }
  button.querySelector("span").textContent = blocked ? box.data.blocked : on ? box.data.on : box.data.off;
  button.setAttribute("aria-pressed", String(on));
  button.classList.toggle("kw-blocked", Boolean(blocked));
  const sounds = on && !blocked && waiting() > 0;
  box.dataset.sounds = String(sounds);
  if (sounds && !(performance.now() - box.sounded < EVERY_MS)) {
    box.sounded = performance.now();
    play();
  }
}

function waiting() {
  return Number(document.querySelector("[data-waiting]")?.dataset.waiting ?? 0);
}

function turn(box) {
  const wake = isOn() && ready()?.state !== "running"; // the first click after a reload only lets the browser sound again
  if (!wake) {
    remember(isOn() ? "off" : "on");
  }
  ready()?.resume();
  box.sounded = undefined;
  tick(box);
}

function ready() {
  if (!isOn()) {
    return undefined;
  }
  audio ??= new AudioContext();
  return audio;
}

function play() {
  TONES_HZ.forEach((hertz, place) => {
    const from = audio.currentTime + place * 0.28;
    const tone = new OscillatorNode(audio, { type: "sine", frequency: hertz });
    const loud = new GainNode(audio, { gain: 0 });
    loud.gain.setValueAtTime(0, from);
    loud.gain.linearRampToValueAtTime(0.35, from + 0.03); // softly in and out: no click
    loud.gain.linearRampToValueAtTime(0, from + 0.25);
    tone.connect(loud).connect(audio.destination);
    tone.start(from);
    tone.stop(from + 0.26);
  });
}

function isOn() {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false; // no storage allowed: silent
  }
}

function remember(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // no storage allowed
  }
}
