// The board tells once a second what is kept; nothing is made for being looked at.
"use strict";

const board = document.getElementById("board");

function show(row, told) {
  const pill = row.querySelector(".pill");
  pill.textContent = told.state;
  pill.dataset.state = told.state;
  row.querySelector(".age").textContent =
    told.age === null ? "" : `${Math.floor(told.age)} s`;
}

async function look() {
  try {
    const answer = await fetch(board.dataset.url);
    if (!answer.ok) throw new Error(answer.statusText);
    const { rows } = await answer.json();
    rows.forEach((told, at) => show(board.tBodies[0].rows[at], told));
    board.classList.remove("old");
  } catch {
    board.classList.add("old"); // the server is gone: what stands here is past
  }
  setTimeout(look, 1000);
}

look();
