"use strict";
/* The first status is asked for while the page itself is still being read; the stream follows when its script has run. */
const early = document.hidden ? null : fetch("/status", { cache: "no-store" }).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
