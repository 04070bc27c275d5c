// analysis/predicted/needs.py and answer.py again, with their names and results, on the coefficients
// that the page "Your model on your chip" holds (analysis/compared/your_model.py).
const predicted = (() => {
  "use strict";
  const data = JSON.parse(document.querySelector("#your-model script").textContent);
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

  function weightsRead(needs, tokens) {
    if (!needs.experts) return needs.fixed_weights;
    const share = 1 - (1 - needs.visited / needs.experts) ** tokens;
    return needs.fixed_weights + needs.expert_weights * share;
  }

  const cached = (needs, tokens) => needs.state
    + sum(needs.attention.map((each) => each.cached * Math.min(tokens, each.window ?? tokens)));

  // Pairs of a token and one of the `reach` tokens before it.
  function before(length, reach) {
    const near = Math.min(reach, length - 1);
    return near * (near + 1) / 2 + (length - 1 - near) * near;
  }

  function attended(needs, length, window) {
    if (needs.kind === "decoder") return length + before(length, (window ?? length) - 1);
    if (window === null) return length ** 2;
    return length + 2 * before(length, Math.floor((window - 1) / 2));
  }

  function step(needs, context, batch) {
    const keys = needs.attention.map((e) => e.step_flops * Math.min(context, e.window ?? context));
    const flops = batch * (needs.step_flops + sum(keys));
    return { flops, weights: weightsRead(needs, batch), cache: batch * cached(needs, context) };
  }

  function prompt(needs, length, batch) {
    const keys = needs.attention.map((e) => e.pass_flops * attended(needs, length, e.window));
    const head = needs.head_flops * (needs.head_each ? length : 1);
    const flops = batch * (length * needs.pass_flops + sum(keys) + head);
    const cache = needs.kind === "decoder" ? batch * cached(needs, length) : 0;
    return { flops, weights: weightsRead(needs, batch * length), cache };
  }

  function peakOf(chip, bits) {
    const able = Object.keys(chip.peaks).filter((wide) => wide >= bits);
    if (!able.length) throw Error(`${chip.name}: no peak is known at ${bits} bits or more`);
    return Math.max(...able.map((wide) => chip.peaks[wide]));
  }

  const moved = (work, setting) => (work.weights * setting.weights + work.cache * setting.cache) / 8;

  function bounds(needs, chip, setting, work, tokens) {
    const found = {
      memory: moved(work, setting) / (chip.n * chip.bandwidth),
      compute: work.flops / (chip.n * peakOf(chip, setting.activations)),
    };
    if (chip.n > 1) {
      if (!chip.link) throw Error(`${chip.name}: its links are not known; type their GB/s`);
      const message = tokens * needs.d_model * setting.activations / 8;
      found.links = 2 * needs.n_layers * message * (2 * (chip.n - 1) / chip.n) / chip.link;
    }
    return found;
  }

  function reached(chip, limit) {
    const above = chip.bandwidth >= data.fast, phase = data.shares[limit];
    if (chip.n > 1) return null;
    return data.reached.find((row) => row.phase === phase && row.above === above)?.shares ?? null;
  }

  function phase(needs, chip, setting, stepping) {
    const { batch, context, prompt: length } = setting;
    const work = stepping ? step(needs, context, batch) : prompt(needs, length, batch);
    const waits = bounds(needs, chip, setting, work, batch * (stepping ? 1 : length));
    const limit = Object.keys(waits).reduce((a, b) => (waits[b] > waits[a] ? b : a));
    const seconds = waits[limit], bytes = moved(work, setting), shares = reached(chip, limit);
    return {
      flops: work.flops, bytes, intensity: work.flops / bytes, limit, seconds,
      seconds_reached: shares && [seconds / shares[1], seconds / shares[0]],
    };
  }

  function held(needs, setting) {
    const cache = needs.kind === "decoder" ? cached(needs, setting.context) : 0;
    return [needs.parameters * setting.weights / 8, cache * setting.cache / 8];
  }

  function fit(needs, chip, setting) {
    const [weights, one] = held(needs, setting), cache = one * setting.batch;
    const none = { left: null, fits: null, largest_batch: null, longest_context: null };
    if (chip.memory === null) return { weights, cache, ...none };
    const memory = chip.n * chip.memory, left = memory - weights - cache;
    const found = { ...none, weights, cache, left, fits: left >= 0 };
    if (needs.kind === "encoder") return found;
    found.largest_batch = memory > weights && one ? Math.floor((memory - weights) / one) : 0;
    found.longest_context = most((context) =>
      weights + setting.batch * held(needs, { ...setting, context })[1] <= memory);
    return found;
  }

  // The largest whole number for which `holds`; 0 if for none, null if up to data.most.
  function most(holds) {
    let low = 0, high = 1;
    while (holds(high)) {
      [low, high] = [high, 2 * high];
      if (high > data.most) return null;
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (holds(middle)) low = middle; else high = middle;
    }
    return low;
  }

  function batchPastMemory(needs, chip, setting) {
    const last = most((batch) => {
      const work = step(needs, setting.context, batch);
      const found = bounds(needs, { ...chip, n: 1 }, setting, work, batch);
      return found.memory > found.compute;
    });
    return last === null ? null : last + 1;
  }

  function* changes(needs, chip, setting) {
    for (const bits of [8, 4]) {
      if (setting.weights > bits)
        yield [`weights of ${bits} bits`, needs, chip, { ...setting, weights: bits }];
    }
    if (needs.grouped) yield ["grouped heads", needs.grouped, chip, setting];
    if (setting.batch < 8) yield ["a batch of 8", needs, chip, { ...setting, batch: 8 }];
    yield ["twice the bandwidth", needs, { ...chip, bandwidth: 2 * chip.bandwidth }, setting];
  }

  function speeds(needs, chip, setting) {
    const found = { prompt: phase(needs, chip, setting, false) };
    if (needs.kind === "encoder") return found;
    const one = found.step = phase(needs, chip, setting, true), ends = one.seconds_reached;
    one.tokens_per_s = setting.batch / one.seconds;
    one.tokens_per_s_reached = ends && [setting.batch / ends[1], setting.batch / ends[0]];
    return found;
  }

  function answer(needs, chip, setting) {
    const now = speeds(needs, chip, setting), unit = now.step ? "step" : "prompt";
    const others = [...changes(needs, chip, setting)].map(([change, ...other]) => {
      const then = speeds(...other)[unit];
      const gain = other[2].batch / setting.batch * now[unit].seconds / then.seconds;
      return { change, gain, seconds: then.seconds, limit: then.limit, fits: fit(...other).fits };
    });
    return {
      ...now,
      memory: fit(needs, chip, setting),
      batch_past_memory: now.step ? batchPastMemory(needs, chip, setting) : null,
      changes: others,
    };
  }

  return { answer, data, peakOf };
})();
