// A place to sign with finger, pen or mouse; or a photo of the signed sheet, made small here before it is sent.
const HIGH = 200;
const PHOTO_PX = 1400;

export default function ({ data, parentElement, setStateValue }) {
  let box = parentElement.querySelector(":scope > .kw-inkpad");
  if (!box) {
    box = document.createElement("div");
    box.className = "kw-panel kw-inkpad";
    box.innerHTML =
      '<canvas tabindex="0" role="img"></canvas><img alt="" hidden><div class="kw-line"><span></span><button type="button" class="kw-clear"></button>' +
      '<label class="kw-photo"><input type="file" accept="image/png,image/jpeg,image/webp"><b></b></label></div>';
    parentElement.appendChild(box);
    prepare(box);
    new ResizeObserver(() => fit(box)).observe(box);
    box.querySelector(".kw-clear").addEventListener("click", () => clear(box));
    box.querySelector("input").addEventListener("change", (event) => photo(box, event.target));
  }
  box.state = setStateValue;
  box.querySelector(".kw-line span").textContent = data.sign;
  box.querySelector(".kw-clear").textContent = data.clear;
  box.querySelector(".kw-photo b").textContent = data.photo;
  box.querySelector("canvas").setAttribute("aria-label", data.sign);
}

function prepare(box) {
  const canvas = box.querySelector("canvas");
  box.strokes = [];
  let stroke = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) {
      return;
    }
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    stroke = [at(canvas, event)];
    box.strokes.push(stroke);
    draw(box);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (stroke) {
      for (const one of event.getCoalescedEvents?.() ?? [event]) {
        stroke.push(at(canvas, one));
      }
      draw(box);
    }
  });
  const end = () => {
    if (stroke) {
      stroke = null;
      box.state("picture", canvas.toDataURL("image/png"));
    }
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

function at(canvas, event) {
  const frame = canvas.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
}

function fit(box) {
  const canvas = box.querySelector("canvas");
  const wide = Math.max(120, Math.round(box.clientWidth));
  const scale = Math.min(2, window.devicePixelRatio || 1);
  if (canvas.wide !== wide) {
    canvas.wide = wide;
    canvas.width = wide * scale;
    canvas.height = HIGH * scale;
    canvas.scale = scale;
    draw(box);
  }
}

function draw(box) {
  const canvas = box.querySelector("canvas");
  const pen = canvas.getContext("2d");
  pen.setTransform(canvas.scale || 1, 0, 0, canvas.scale || 1, 0, 0);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.strokeStyle = "#101828";
  pen.lineWidth = 2.4;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of box.strokes) {
    pen.beginPath();
    pen.moveTo(...stroke[0]);
    if (stroke.length === 1) {
      pen.lineTo(stroke[0][0] + 0.1, stroke[0][1]);
    }
    for (let k = 1; k < stroke.length; k += 1) {
      const middle = [(stroke[k - 1][0] + stroke[k][0]) / 2, (stroke[k - 1][1] + stroke[k][1]) / 2];
      pen.quadraticCurveTo(...stroke[k - 1], ...middle);
    }
    pen.lineTo(...stroke[stroke.length - 1]);
    pen.stroke();
  }
}

function clear(box) {
  box.strokes = [];
  draw(box);
  show(box, "");
  box.querySelector("input").value = "";
  box.state("picture", "");
}

function show(box, picture) {
  const image = box.querySelector("img");
  image.hidden = !picture;
  box.querySelector("canvas").hidden = Boolean(picture);
  if (picture) {
    image.src = picture;
  } else {
    image.removeAttribute("src");
  }
}

async function photo(box, input) {
  const file = input.files[0];
  if (!file) {
    return;
  }
  try {
    const bitmap = await createImageBitmap(file);
    const share = Math.min(1, PHOTO_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * share));
    canvas.height = Math.max(1, Math.round(bitmap.height * share));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const picture = canvas.toDataURL("image/jpeg", 0.8);
    show(box, picture);
    box.state("picture", picture);
  } catch {
    show(box, "");
    box.state("picture", "unreadable"); // the server says so in the reader's language
  }
}
