"use strict";

// Writes the figures into the table once a second. Nothing but text is ever written.
(function () {
  const EVERY = 1000; // milliseconds
  const PATIENCE = 10000;
  const table = document.getElementById("holdover-figures");
  const state = document.getElementById("holdover-state");

  function show(region) {
    const name = CSS.escape(region.label);
    const row = table.querySelector(`tr[data-region="${name}"]`);
    if (row === null) return; // new, or known to another process only
    row.classList.toggle("holdover-trouble", region.trouble);
    for (const cell of row.querySelectorAll("td")) {
      const text = region.cells[cell.dataset.cell];
      if (cell.textContent !== text) cell.textContent = text;
    }
  }

  async function look() {
    const answer = await fetch(table.dataset.url, {
      credentials: "same-origin",
      redirect: "error", // to the login page, once the session has ended
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    (await answer.json()).regions.forEach(show);
  }

  async function goOn() {
    if (!document.hidden) {
      try {
        await look();
        state.textContent = state.dataset.live;
      } catch {
        state.textContent = state.dataset.lost;
      }
    }
    setTimeout(goOn, EVERY);
  }

  setTimeout(goOn, EVERY);
})();
