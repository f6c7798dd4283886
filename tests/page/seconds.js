// So many seconds of a busy proxy, as fast as the page takes them.
async (count) => {
  for (let at = 0; at < count; at += 1) {
    const seq = feed.state.decisions_seq + 1, p95 = 0.1 + Math.random();
    const one = {
      seq, id: `req-${seq}`, ended_at: feed.state.at, class: "interactive", model: `m${seq}`, backend: "alpha",
      verdict: seq % 9 ? "served" : "shed", why: "", queued_s: 0, ttft_s: p95, tpot_s: 0.01, e2e_s: 1,
      output_tokens: seq % 500, missed: [],
    };
    const interactive = {
      in_flight: seq % 7, requests_per_s: Math.random() * 9, tokens_per_s: 900, good_tokens_per_s: 800 * Math.random(),
      ttft_s: { p50: p95 / 2, p95, p99: p95 * 2, samples: seq },
      tpot_s: { p50: 0.01, p95: 0.02, p99: 0.03, samples: seq },
    };
    feed.change({
      at: feed.state.at + 1, decisions_seq: seq, decisions: [one], notable: seq % 9 ? [] : [one],
      classes: { interactive }, backends: { alpha: { in_flight: seq % 7, kv_used_tokens: seq % 1000 } },
    });
    if (at % 30 === 29) await new Promise(requestAnimationFrame);
  }
}
