// The form, the words and the chart of "Your model on your chip"; answer.js has the arithmetic.
(async () => {
  "use strict";
  const { answer, data, peakOf } = predicted;

  // Numbers as analysis/predicted/printed.py prints them.
  const number = (value) => value < 99.95 ? String(Number(value.toPrecision(3)))
    : Math.round(value).toLocaleString("en-US");

  function amount(value, unit) {
    const place = Math.max(0, Math.min(6, Math.floor(Math.log10(value) / 3)));
    return `${number(value / 1000 ** place)} ${["", "k", "M", "G", "T", "P", "E"][place]}${unit}`;
  }

  function duration(seconds) {
    const units = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]];
    const [unit, size] = units.find((each) => seconds >= each[1]) ?? units[3];
    return `${number(seconds / size)} ${unit}`;
  }

  const range = (ends, shown) => (ends ? `${shown(ends[0])} to ${shown(ends[1])}` : "unknown");

  function inWords(found, needs, chip, setting) {
    const { step, prompt, memory } = found, now = step ?? prompt, batch = found.batch_past_memory;
    const whose = chip.n > 1 ? `${chip.n} × ${chip.name}` : chip.name;
    const said = [`${needs.name} on ${whose}:`];
    said.push(step
      ? `a step takes at least ${duration(step.seconds)}, so at most `
        + `${number(step.tokens_per_s)} tokens/s; others reach `
        + `${range(step.tokens_per_s_reached, number)}.`
      : `a pass takes at least ${duration(prompt.seconds)}; others reach `
        + `${range(prompt.seconds_reached, duration)}.`);
    said.push(`It waits for ${now.limit}.`);
    if (step) said.push(batch ? `From a batch of ${batch.toLocaleString("en-US")} on, memory is not `
      + "what limits a chip's steps." : "No batch gets its steps past memory.");
    const held = `weights of ${amount(memory.weights, "B")} and a cache of `
      + `${memory.cache ? amount(memory.cache, "B") : "nothing"}`;
    if (memory.fits === null) said.push(`It holds ${held}; the chip's memory is not known.`);
    else said.push(`${memory.fits ? "It fits" : "It does not fit"}: ${held}, `
      + `${amount(Math.abs(memory.left), "B")} ${memory.fits ? "left" : "too much"}.`);
    if (memory.largest_batch) said.push(`At this context a batch of up to `
      + `${memory.largest_batch.toLocaleString("en-US")} would fit.`);
    return said.join(" ");
  }

  // The form: by name its label, and choices, the unit of a limit, or the first value of a count.
  const TYPED = "numbers typed below";
  const FIELDS = {
    model: ["Model", data.models.map((each) => each.name), "Llama 3 8B"],
    chip: ["Chip", [...data.chips.map((each) => each.name), TYPED], "H100 SXM5 80GB"],
    bandwidth: ["A chip's bandwidth (GB/s)", 1e9],
    peak: ["A chip's peak (TFLOP/s)", 1e12],
    memory: ["A chip's memory (GB)", 1e9],
    link: ["A chip's links (GB/s, each way)", 1e9],
    n: ["Chips", null, 1],
    batch: ["Batch (sequences)", null, 1],
    context: ["Context of a step (tokens)", null, 2048],
    prompt: ["Prompt (tokens)", null, 2048],
    weights: ["Bits of a weight", data.bits, 16],
    cache: ["Bits of a cached number", data.bits, 16],
    activations: ["Bits of a product", data.bits, 16],
  };
  const LIMITS = ["bandwidth", "peak", "memory", "link"];

  const able = (chip, bits) => Object.keys(chip.peaks).some((wide) => wide >= bits);

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function field(name) {
    const [label, kind, first] = FIELDS[name], id = `asked-${name}`;
    const control = Array.isArray(kind)
      ? element("select", { id, name }, ...kind.map((each) => element("option", {}, each)))
      : element("input", { id, name, type: "number", step: "any", min: kind ? 0 : 1 });
    if (first) control.value = first;
    return element("div", {}, element("label", { htmlFor: id }, label), control);
  }

  // What the form asks, as `answer` takes it; a number that is none is an Error with its label.
  function asked(form) {
    const setting = {};
    for (const [name, [label, kind]] of Object.entries(FIELDS)) {
      const text = form.elements[name].value, value = Number(text);
      const whole = Number.isInteger(value) && value >= 1 && value <= 1e9;
      const open = name === "memory" || name === "link";
      if (kind === null && !whole) throw Error(`${label}: a whole number from 1 to 1e9`);
      if (form.elements.chip.value === TYPED && LIMITS.includes(name)
          && !(value > 0 || open && text === ""))
        throw Error(`${label}: a number above 0`);
      setting[name] = name === "model" || name === "chip" ? text : value * (LIMITS.includes(name) ? kind : 1) || null;
    }
    const { model, chip, n, bandwidth, peak, memory, link, ...sizes } = setting;
    const typed = { name: "such a chip", bandwidth, peaks: { 32: peak }, memory, link };
    const known = data.chips.find((each) => each.name === chip) ?? typed;
    return [data.models.find((each) => each.name === model), { ...known, n }, sizes];
  }

  // Show a chip's own limits where it was chosen, and not where its numbers are typed.
  function showLimits({ elements }) {
    const chip = data.chips.find((each) => each.name === elements.chip.value);
    if (!chip) return;
    const bits = Number(elements.activations.value), limits = { ...chip, peak: null };
    if (able(chip, bits)) limits.peak = peakOf(chip, bits);
    for (const name of LIMITS) {
      const value = limits[name] === null ? "" : limits[name] / FIELDS[name][1];
      elements[name].value = value && Number(value.toPrecision(4));
    }
  }

  function table(caption, heads, rows) {
    const cells = (tag, row) => element("tr", {}, ...row.map((each) => element(tag, {}, each)));
    return element("table", { className: "table" }, element("caption", {}, caption),
      element("thead", {}, cells("th", heads)),
      element("tbody", {}, ...rows.map((row) => cells("td", row))));
  }

  function tables(found) {
    const units = ["prompt", "step"].filter((name) => found[name]);
    const row = (head, shown) => [head, ...units.map((name) => shown(found[name]))];
    const fits = new Map([[true, "yes"], [false, "no"], [null, "unknown"]]);
    return [
      table("What it takes", ["", ...units.map((name) => (name === "step" ? "A step" : "The prompt"))], [
        row("Work", (one) => amount(one.flops, "FLOP")),
        row("Moved", (one) => amount(one.bytes, "B")),
        row("FLOP/byte", (one) => number(one.intensity)),
        row("Waits for", (one) => one.limit),
        row("Takes at least", (one) => duration(one.seconds)),
        row("Others reach", (one) => range(one.seconds_reached, duration)),
      ]),
      table("What would help", ["With", "Speed, times", "Waits for", "Fits"],
        found.changes.map((each) =>
          [each.change, number(each.gain), each.limit, fits.get(each.fits)])),
    ];
  }

  // What the chart draws: the roof, each chip at its ridge point, and what the model reaches.
  function drawn(found, chip, setting) {
    const peak = peakOf(chip, setting.activations) * chip.n, ridge = peak / chip.bandwidth / chip.n;
    const work = ["prompt", "step"].filter((name) => found[name]).map((name) => {
      const { flops, intensity, seconds, seconds_reached: ends } = found[name];
      const [high, low] = (ends ?? [seconds, seconds]).map((end) => flops / end);
      return { name, intensity, rate: flops / seconds, low, high,
        told: `${name}: ${number(intensity)} FLOP/byte, at most ${amount(flops / seconds, "FLOP/s")}` };
    });
    const xs = [...work.map((each) => each.intensity), ridge];
    const ends = [Math.min(...xs, 1), ridge, Math.max(...xs) * 5];
    const chips = data.chips.filter((each) => able(each, setting.activations)).map((each) => {
      const rate = peakOf(each, setting.activations), intensity = rate / each.bandwidth;
      return { intensity, rate, told: `${each.name}: ${amount(each.bandwidth, "B/s")}, `
        + `${amount(rate, "FLOP/s")}, ridge point ${number(intensity)} FLOP/byte` };
    });
    const roof = ends.map((x) => ({ intensity: x, rate: Math.min(peak, x * chip.bandwidth * chip.n) }));
    return { chips, roof, work };
  }

  function specification(datasets) {
    const axis = (name, title) => ({ field: name, type: "quantitative", title,
      scale: { type: "log", nice: false, padding: 12 }, axis: { format: "~s", tickCount: 6 } });
    const x = axis("intensity", "intensity (FLOP/byte)"), y = axis("rate", "FLOP/s");
    const layer = (name, mark, more) => ({ data: { name }, mark, encoding: { x, y, ...more } });
    const tooltip = { field: "told" }, of = { type: "point", filled: true, opacity: 1, aria: false };
    const ink = "var(--pst-color-text-base)", point = "var(--report-other)";
    const faint = "var(--pst-color-text-muted)", text = { labelColor: ink, titleColor: ink };
    return {
      description: "Roofline of the chosen chip, with the model's prompt and step on it. "
        + "The table What it takes has its numbers.",
      width: "container", height: 340, background: null, datasets,
      layer: [
        layer("roof", { type: "line", color: ink, strokeWidth: 2, aria: false }),
        layer("chips", { ...of, color: faint, size: 45, opacity: 0.75 }, { tooltip }),
        layer("work", { type: "rule", color: point, strokeWidth: 3, aria: false },
          { y: { ...y, field: "low" }, y2: { field: "high" } }),
        layer("work", { ...of, color: point, size: 130 }, { tooltip }),
        layer("work", { type: "text", color: ink, dx: 12, dy: 16, align: "left", fontSize: 14, aria: false },
          { text: { field: "name" } }),
      ],
      config: { font: "system-ui, sans-serif", view: { stroke: null },
        axis: { ...text, grid: false, domainColor: faint, tickColor: faint, labelFontSize: 12,
          titleFontSize: 13, titleFontWeight: "normal", labelOverlap: "greedy" } },
    };
  }

  async function start(place) {
    const form = element("form", { id: "your-form" }, ...Object.keys(FIELDS).map(field));
    const said = element("p", { id: "your-answer" });
    said.setAttribute("role", "status");
    const chart = element("div", { id: "your-chart" }), numbers = element("div", { id: "your-tables" });
    place.append(form, said, chart, numbers);
    place.hidden = false;
    let view;
    async function show() {
      showLimits(form);
      try {
        const choice = asked(form), found = answer(...choice), sets = drawn(found, ...choice.slice(1));
        said.textContent = inWords(found, ...choice);
        numbers.replaceChildren(...tables(found));
        if (view) for (const [name, rows] of Object.entries(sets)) view.data(name, rows);
        const options = { mode: "vega-lite", actions: false, renderer: "svg" };
        view ??= (await vegaEmbed(chart, specification(sets), options)).view;
        await view.runAsync();
      } catch (error) {
        said.textContent = error.message;
      }
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) => {
      if (LIMITS.includes(target.name)) form.elements.chip.value = TYPED;
      show();
    });
    await show();
  }

  await start(document.getElementById("your-model"));
})();
