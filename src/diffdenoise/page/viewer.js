"use strict";
(() => {
  const block = document.getElementById("viewer-data");
  if (!block) return;
  const data = JSON.parse(block.textContent);
  const byId = (id) => document.getElementById(id);
  const stage = byId("stage");
  document.documentElement.classList.add("scripted");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const MINUS = "\u2212", LEAST_ZOOM = 1, MOST_ZOOM = 32, RING = "#f2c230";
  const [low, high] = data.window;
  const whole = [data.tones[1][0], data.tones[1][data.tones[1].length - 1]];
  // Black to white by way of violet and orange: order stays visible in grey, and to the colour-blind.
  const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
  const HEAT_STEPS = HEAT.length - 1;
  const heat = Array.from({ length: 256 }, (_, tone) => {
    const at = (tone / 255) * HEAT_STEPS, step = Math.min(HEAT_STEPS - 1, Math.floor(at));
    return [0, 1, 2].map((c) => HEAT[step][c] + (at - step) * (HEAT[step + 1][c] - HEAT[step][c]));
  });
  // Of a DICOM window, centre and width count whole values: half a one, and one, more than the greys' (PS3.3, C.11.2.1.2.1).
  const counted = data.stated ? [data.stated[0] - (low + high) / 2, data.stated[1] - (high - low)] : [0, 0];
  const first = { view: "swipe", divider: 0.5, zoom: 1, x: 0.5, y: 0.5, centre: (low + high) / 2, width: high - low, inverted: data.inverted, drag: "swipe" };
  const state = { ...first, index: Math.floor((data.pictures.length - 1) / 2), rings: Boolean(byId("rings")), timer: 0, isOther: false, isBlinking: false, isPrinting: false, chosen: -1 };

  /* Tones to colours. */

  const valueOf = (tone) => {
    const [tones, values] = data.tones;
    let k = 1;
    while (k < tones.length - 1 && tone > tones[k]) k += 1;
    return values[k - 1] + ((tone - tones[k - 1]) / (tones[k] - tones[k - 1])) * (values[k] - values[k - 1]);
  };
  const values = Array.from({ length: 256 }, (_, tone) => valueOf(tone));
  const colours = (kind) => {
    if (kind === "uncertainty") return heat;
    // Tone 127 is a residual of nothing, 254 its bound.
    if (kind === "residual") return values.map((_, tone) => { const grey = Math.min(255, (tone / 254) * 255); return [grey, grey, grey]; });
    const least = state.centre - state.width / 2;
    return values.map((value) => {
      const share = clamp((value - least) / state.width, 0, 1);
      const grey = 255 * (state.inverted ? 1 - share : share);
      return [grey, grey, grey];
    });
  };
  const tonesKept = new Map();
  const tonesOf = (index, kind) => {
    const key = `${index} ${kind}`;
    if (!tonesKept.has(key)) {
      const image = document.querySelector(`#tiles [data-index="${index}"] [data-kind="${kind}"]`);
      const { width, height } = data.pictures[index];
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      const pixels = context.getImageData(0, 0, width, height).data;
      tonesKept.set(key, Uint8Array.from({ length: width * height }, (_, k) => pixels[4 * k]));
      if (tonesKept.size > 24) tonesKept.delete(tonesKept.keys().next().value);
    }
    return tonesKept.get(key);
  };
  const painted = new Map();
  const paint = (index, kind) => {
    const isFixed = kind === "residual" || kind === "uncertainty";
    const key = isFixed ? `${index}` : `${index} ${state.centre} ${state.width} ${state.inverted}`;
    const kept = painted.get(kind);
    if (kept && kept.key === key) return kept.canvas;
    const { width, height } = data.pictures[index];
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const image = new ImageData(width, height), table = colours(kind), tones = tonesOf(index, kind);
    const packed = new Uint32Array(image.data.buffer);
    const words = new Uint32Array(256), bytes = new Uint8ClampedArray(words.buffer);
    table.forEach((colour, tone) => bytes.set([...colour.map(Math.round), 255], 4 * tone));
    for (let k = 0; k < tones.length; k += 1) packed[k] = words[tones[k]];
    canvas.getContext("2d").putImageData(image, 0, 0);
    painted.set(kind, { key, canvas });
    return canvas;
  };

  /* Panes: what each canvas on the stage shows. */

  const panes = () => {
    if (state.isPrinting) return data.kinds.map((kind) => [kind]);
    if (state.isBlinking) return [[state.isOther ? "denoised" : "noisy"]];
    if (state.view === "swipe") return [["noisy", "denoised"]];
    if (state.view === "side") return data.kinds.map((kind) => [kind]);
    return [[state.view]];
  };
  const columns = (count) => {
    const wide = stage.clientWidth, { width, height } = data.pictures[state.index];
    if (state.isPrinting) return Math.min(2, count);
    if (wide < 640) return Math.min(2, count);
    // As many side by side as make the largest images that are all on the screen.
    const tall = (n) => Math.min(wide / n / width, (0.7 * innerHeight) / Math.ceil(count / n) / (height * data.aspect));
    return [1, 2, 3, 4].filter((n) => n <= count).reduce((best, n) => (tall(n) > tall(best) ? n : best));
  };
  const layOut = () => {
    const shown = panes(), count = shown.length;
    while (stage.children.length > count) stage.lastChild.remove();
    while (stage.children.length < count) stage.append(document.createElement("canvas"));
    const across = count > 1 ? columns(count) : 1;
    stage.classList.toggle("many", count > 1);
    stage.style.setProperty("--columns", across);
    const picture = data.pictures[state.index];
    const room = state.isPrinting ? 340 : (stage.clientWidth - 2 * (across - 1)) / across;
    const tallest = state.isPrinting ? 420 : Math.max(240, 0.7 * innerHeight / Math.max(1, Math.ceil(count / across) * 0.99));
    const height = Math.round(clamp(room * (picture.height * data.aspect / picture.width), 120, tallest));
    for (const canvas of stage.children) {
      canvas.style.height = state.isPrinting ? "auto" : `${height}px`;
      const dots = state.isPrinting ? 2 : devicePixelRatio || 1;
      const size = [Math.round(room * dots), Math.round(height * dots)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      canvas.dots = dots;
    }
    return shown;
  };
  const placed = (canvas) => {
    const { width, height } = data.pictures[state.index];
    const fit = Math.min(canvas.width / width, canvas.height / (height * data.aspect)) * state.zoom;
    const [across, down] = [fit, fit * data.aspect];
    return { across, down, left: canvas.width / 2 - state.x * width * across, top: canvas.height / 2 - state.y * height * down };
  };
  const draw = () => {
    const shown = layOut();
    stage.dataset.drag = state.view === "swipe" && !state.isBlinking ? state.drag : state.drag === "swipe" ? "none" : state.drag;
    stage.style.touchAction = state.zoom > 1 || state.drag !== "swipe" ? "none" : "pan-y";
    shown.forEach((kinds, number) => drawPane(stage.children[number], kinds));
    tell(shown);
  };
  const drawPane = (canvas, kinds) => {
    const context = canvas.getContext("2d"), at = placed(canvas), divide = Math.round(state.divider * canvas.width);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    kinds.forEach((kind, side) => {
      context.save();
      if (side === 1) {
        context.beginPath();
        context.rect(divide, 0, canvas.width, canvas.height);
        context.clip();
        context.fillRect(divide, 0, canvas.width, canvas.height);
      }
      const image = paint(state.index, kind);
      // Single pixels are to be seen as such when they are large.
      context.imageSmoothingEnabled = at.across / canvas.dots < 4;
      context.imageSmoothingQuality = "high";
      context.drawImage(image, at.left, at.top, image.width * at.across, image.height * at.down);
      context.restore();
    });
    if (state.rings) drawRings(context, canvas, at);
    drawLetters(context, canvas, kinds.length > 1);
    drawScale(context, canvas, at);
    label(context, canvas, kinds[0], "left");
    if (kinds.length > 1) {
      label(context, canvas, kinds[1], "right");
      drawLine(context, canvas, divide);
    }
    if (kinds[0] === "residual") drawLegend(context, canvas, colours("residual").slice(0, 255), `+${data.bound}`, `${MINUS}${data.bound}`);
    if (kinds[0] === "uncertainty") drawLegend(context, canvas, heat, data.top, "0");
  };
  const write = (context, canvas, words, x, y, align = "left", colour = "#fff", size = 13) => {
    context.font = `${size * canvas.dots}px system-ui, sans-serif`;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3 * canvas.dots;
    context.strokeStyle = "rgba(0,0,0,.75)";
    context.strokeText(words, x, y);
    context.fillStyle = colour;
    context.fillText(words, x, y);
  };
  const label = (context, canvas, words, align) => {
    const edge = 10 * canvas.dots;
    write(context, canvas, words, align === "left" ? edge : canvas.width - edge, 16 * canvas.dots, align);
  };
  const drawLetters = (context, canvas, isSplit) => {
    const [left, right, top, bottom] = data.directions, d = canvas.dots, { width: w, height: h } = canvas;
    write(context, canvas, left, 8 * d, h / 2, "left", RING);
    write(context, canvas, right, w - 8 * d, h / 2, "right", RING);
    // Beside the swipe line, not below it.
    const middle = isSplit && Math.abs(state.divider - 0.5) * w < 16 * d ? state.divider * w + 18 * d : w / 2;
    write(context, canvas, top, middle, 14 * d, "center", RING);
    write(context, canvas, bottom, middle, h - 14 * d, "center", RING);
  };
  const drawScale = (context, canvas, at) => {
    if (data.pixel_mm === null) return;
    const dotsPerMm = at.across / data.pixel_mm, longest = (0.25 * canvas.width) / dotsPerMm;
    const power = 10 ** Math.floor(Math.log10(longest));
    const mm = [5, 2, 1].map((step) => step * power).find((step) => step <= longest) || power;
    const d = canvas.dots, x = 10 * d, y = canvas.height - 12 * d;
    context.strokeStyle = "rgba(0,0,0,.75)";
    context.lineWidth = 4 * d;
    for (const width of [4, 2]) {
      context.lineWidth = width * d;
      context.strokeStyle = width === 4 ? "rgba(0,0,0,.75)" : "#fff";
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + mm * dotsPerMm, y);
      context.stroke();
    }
    write(context, canvas, `${Number(mm.toPrecision(3))} mm`, x, y - 12 * d, "left", "#fff", 11);
  };
  const drawLine = (context, canvas, x) => {
    // The handle is low: what one goes to is in the middle.
    const d = canvas.dots, y = canvas.height * 0.85;
    context.fillStyle = "rgba(0,0,0,.5)";
    context.fillRect(x - 1.5 * d, 0, 3 * d, canvas.height);
    context.fillStyle = "#fff";
    context.fillRect(x - 0.5 * d, 0, d, canvas.height);
    context.beginPath();
    context.arc(x, y, 13 * d, 0, 2 * Math.PI);
    context.fillStyle = "rgba(20,24,26,.75)";
    context.fill();
    context.lineWidth = 1.2 * d;
    context.strokeStyle = "#fff";
    context.stroke();
    for (const side of [-1, 1]) {
      context.beginPath();
      context.moveTo(x + side * 3 * d, y - 4 * d);
      context.lineTo(x + side * 7 * d, y);
      context.lineTo(x + side * 3 * d, y + 4 * d);
      context.stroke();
    }
  };
  const drawLegend = (context, canvas, table, top, bottom) => {
    const d = canvas.dots, height = Math.min(110 * d, canvas.height * 0.4), x = canvas.width - 20 * d, y = canvas.height - height - 30 * d;
    table.forEach((colour, k) => {
      context.fillStyle = `rgb(${colour.map(Math.round).join(",")})`;
      context.fillRect(x, y + height * (1 - (k + 1) / table.length), 10 * d, height / table.length + 1);
    });
    context.lineWidth = d;
    context.strokeStyle = "#fff";
    context.strokeRect(x, y, 10 * d, height);
    write(context, canvas, top, x - 6 * d, y + 6 * d, "right", "#fff", 11);
    write(context, canvas, bottom, x - 6 * d, y + height - 6 * d, "right", "#fff", 11);
  };
  const drawRings = (context, canvas, at) => {
    const d = canvas.dots;
    for (const [place, x, y, radius] of data.pictures[state.index].marks) {
      const size = Math.max(9 * d, 1.6 * radius * at.across + 3 * d), [cx, cy] = [at.left + x * at.across, at.top + y * at.down];
      for (const [width, colour] of [[4, "rgba(0,0,0,.6)"], [place === state.chosen ? 2.6 : 1.6, RING]]) {
        context.beginPath();
        context.arc(cx, cy, size, 0, 2 * Math.PI);
        context.lineWidth = width * d;
        context.strokeStyle = colour;
        context.stroke();
      }
      write(context, canvas, String(place + 1), cx + size * 0.75 + 3 * d, cy - size * 0.75 - 3 * d, "left", RING, 12);
    }
  };

  /* Words and controls follow the state. */

  const said = (value) => {
    const size = Math.abs(value);
    const words = data.unit === "HU" || size >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
    return words.replace("-", MINUS);
  };
  const tell = (shown) => {
    const unit = data.unit ? ` ${data.unit}` : "";
    // Not a new text a blink: that would be read out each time.
    const what = state.isBlinking && state.timer ? "noisy and denoised by turns" : shown.map((kinds) => kinds.join(" | ")).join(", ");
    const isFirst = state.centre === first.centre && state.width === first.width;
    const shade = isFirst && data.words ? `Window: ${data.words}` : `Window: centre ${said(state.centre + counted[0])}, width ${said(state.width + counted[1])}${unit}`;
    const caption = `${data.pictures[state.index].name}: ${what}. ${shade}${state.zoom > 1 ? `; zoom ${state.zoom.toFixed(1)}` : ""}.`;
    if (byId("caption").textContent !== caption) byId("caption").textContent = caption;
    stage.dataset.index = state.index;
    stage.dataset.shown = shown.map((kinds) => kinds.join("|")).join(" ");
    const set = (id, value) => { const input = byId(id); if (input) input.value = value; };
    set("slice", state.index);
    set("centre", state.centre);
    set("width", state.width);
    byId("slice")?.setAttribute("aria-valuetext", data.pictures[state.index].name);
    byId("centre-said").textContent = said(state.centre + counted[0]);
    byId("width-said").textContent = said(state.width + counted[1]);
    byId("invert").checked = state.inverted;
    if (byId("rings")) byId("rings").checked = state.rings;
    byId("blink").setAttribute("aria-pressed", String(state.isBlinking));
    for (const [name, value] of [["view", state.view], ["drag", state.drag]]) {
      const input = document.querySelector(`input[name="${name}"][value="${value}"]`);
      if (input) input.checked = true;
    }
  };
  let isAsked = false;
  const redraw = () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => { isAsked = false; draw(); });
  };
  const change = (what) => { Object.assign(state, what); redraw(); };

  /* What can be done. */

  const go = (index) => change({ index: clamp(index, 0, data.pictures.length - 1), chosen: -1 });
  const look = (view) => { stopBlinking(); change({ view }); };
  const zoomBy = (factor, canvas, event) => {
    const zoom = clamp(state.zoom * factor, LEAST_ZOOM, MOST_ZOOM);
    if (canvas && event) {
      // What is below the pointer stays there.
      const at = placed(canvas), box = canvas.getBoundingClientRect(), { width, height } = data.pictures[state.index];
      const px = (event.clientX - box.left) * canvas.dots, py = (event.clientY - box.top) * canvas.dots;
      const share = 1 - state.zoom / zoom;
      state.x += ((px - canvas.width / 2) / (width * at.across)) * share;
      state.y += ((py - canvas.height / 2) / (height * at.down)) * share;
    }
    state.zoom = zoom;
    if (zoom === 1) Object.assign(state, { x: 0.5, y: 0.5 });
    pan(0, 0);
  };
  const pan = (dx, dy, canvas = stage.firstChild) => {
    const at = placed(canvas), { width, height } = data.pictures[state.index];
    change({ x: clamp(state.x - dx / (width * at.across), 0, 1), y: clamp(state.y - dy / (height * at.down), 0, 1) });
  };
  const windowTo = (centre, width) => {
    const span = whole[1] - whole[0];
    change({ centre: clamp(centre, ...whole), width: clamp(width, span / 200, span) });
  };
  const flip = () => change({ isBlinking: true, isOther: !state.isOther });
  const every = () => 1000 * Number(byId("speed").value);
  const startTimer = () => { clearInterval(state.timer); state.timer = setInterval(flip, every()); };
  const stopBlinking = () => { clearInterval(state.timer); change({ timer: 0, isBlinking: false, isOther: false }); };
  const blink = () => {
    if (still.matches) { flip(); return; }
    if (state.isBlinking) { stopBlinking(); return; }
    flip();
    startTimer();
  };
  const reset = () => {
    stopBlinking();
    change({ ...first });
    if (byId("preset")) byId("preset").value = "";
  };
  const goToPlace = (place) => {
    const index = data.places[place];
    if (index === null || index === undefined) return;
    const picture = data.pictures[index], mark = picture.marks.find((each) => each[0] === place);
    change({ index, rings: true, chosen: place, x: mark[1] / picture.width, y: mark[2] / picture.height, zoom: Math.max(state.zoom, 2.5) });
    byId("viewer").scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
    stage.focus({ preventScroll: true });
  };

  /* Pointers. */

  const pointers = new Map();
  let action = "", pinch = 0;
  const actionFor = (event) => {
    if (event.button === 2) return "window";
    if (event.shiftKey || event.button === 1) return "move";
    if (state.drag === "swipe") return state.view === "swipe" && !state.isBlinking ? "swipe" : state.zoom > 1 ? "move" : "";
    return state.drag;
  };
  const dividerTo = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    change({ divider: clamp((event.clientX - box.left) / box.width, 0, 1) });
  };
  const apart = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
  stage.addEventListener("pointerdown", (event) => {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    pointers.set(event.pointerId, event);
    event.target.setPointerCapture(event.pointerId);
    stage.focus({ preventScroll: true });
    action = actionFor(event);
    if (pointers.size === 2) { action = "pinch"; pinch = apart(); }
    if (action === "swipe") dividerTo(event, event.target);
    if (event.button === 1) event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), canvas = event.target;
    if (!before) return;
    pointers.set(event.pointerId, event);
    const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
    if (action === "pinch" && pointers.size === 2) {
      const now = apart();
      zoomBy(now / Math.max(1, pinch), canvas, event);
      pinch = now;
    } else if (action === "swipe") dividerTo(event, canvas);
    else if (action === "move") pan(dx * canvas.dots, dy * canvas.dots, canvas);
    else if (action === "window") {
      const step = (high - low) / 300;
      windowTo(state.centre - dy * step, state.width + dx * step);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => { pointers.delete(event.pointerId); if (!pointers.size) action = ""; });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  let turned = 0;
  stage.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 300), event.target instanceof HTMLCanvasElement ? event.target : null, event);
      return;
    }
    const way = Math.sign(event.deltaY), next = state.index + way;
    // At either end of the slices the page itself moves on.
    if (!way || next < 0 || next >= data.pictures.length) { turned = 0; return; }
    event.preventDefault();
    turned += event.deltaMode === 0 ? event.deltaY : 100 * event.deltaY;
    if (Math.abs(turned) >= 50) { turned = 0; go(next); }
  }, { passive: false });

  /* Keys. */

  const STEP = 40;
  const arrows = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  stage.addEventListener("keydown", (event) => {
    const way = arrows[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (event.shiftKey) pan(-STEP * way[0], -STEP * way[1]);
    else if (way[0] && state.view === "swipe" && !state.isBlinking) change({ divider: clamp(state.divider + 0.02 * way[0], 0, 1) });
    else go(state.index + way[0] + way[1]);
  });
  const plain = {
    b: blink, Escape: stopBlinking, r: () => byId("rings") && change({ rings: !state.rings }), i: () => change({ inverted: !state.inverted }),
    "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8), 0: reset,
  };
  const views = [...document.querySelectorAll('input[name="view"]')].map((input) => input.value);
  ["swipe", "side", "noisy", "denoised", "residual", "uncertainty"].forEach((view, k) => {
    if (views.includes(view)) plain[k + 1] = () => look(view);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, [type=text]")) return;
    const act = plain[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) { event.preventDefault(); act(); }
  });

  /* Controls. */

  const on = (id, name, act) => byId(id)?.addEventListener(name, act);
  on("slice", "input", (event) => go(Number(event.target.value)));
  on("centre", "input", (event) => windowTo(Number(event.target.value), state.width));
  on("width", "input", (event) => windowTo(state.centre, Number(event.target.value)));
  on("preset", "change", (event) => {
    const found = data.presets.find((each) => each[0] === event.target.value);
    // As it is named, even where it is wider than the values.
    if (found) change({ centre: found[1] - counted[0], width: found[2] - counted[1] });
    else windowTo(first.centre, first.width);
  });
  on("invert", "change", (event) => change({ inverted: event.target.checked }));
  on("rings", "change", (event) => change({ rings: event.target.checked }));
  on("zoom-in", "click", () => zoomBy(1.25));
  on("zoom-out", "click", () => zoomBy(0.8));
  on("reset", "click", reset);
  on("blink", "click", blink);
  on("speed", "input", () => {
    byId("speed-said").textContent = `${Number(byId("speed").value).toFixed(1)} s`;
    if (state.isBlinking && !still.matches) startTimer();
  });
  const moves = () => { byId("speed-box").hidden = still.matches; if (still.matches) stopBlinking(); };
  still.addEventListener("change", moves);
  for (const input of document.querySelectorAll('input[name="view"]')) input.addEventListener("click", () => look(input.value));
  for (const input of document.querySelectorAll('input[name="drag"]')) input.addEventListener("change", () => change({ drag: input.value }));
  for (const button of document.querySelectorAll("[data-place]")) button.addEventListener("click", () => goToPlace(Number(button.dataset.place)));
  addEventListener("resize", redraw);
  addEventListener("beforeprint", () => { state.isPrinting = true; draw(); });
  addEventListener("afterprint", () => { state.isPrinting = false; redraw(); });

  const start = () => {
    moves();
    draw();
  };
  if (document.readyState === "complete") start();
  else addEventListener("load", start);
})();
