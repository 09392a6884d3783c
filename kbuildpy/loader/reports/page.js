// SPDX-License-Identifier: GPL-2.0-only
const words = document.getElementById("words"), outcome = document.getElementById("outcome"), count = document.getElementById("count");
const articles = [...document.querySelectorAll("article")];
const texts = articles.map(article => article.querySelector("h2").textContent.toLowerCase());
const links = new Map([...document.querySelectorAll("td a")].map(link => [link.hash.slice(1), link]));
function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  articles.forEach((article, at) => {
    article.hidden = !(wanted.every(word => texts[at].includes(word)) && (!outcome.value || article.classList.contains(outcome.value)));
    shown += !article.hidden;
    const link = links.get(article.id);
    if (link) link.hidden = article.hidden;
  });
  for (const row of document.querySelectorAll("tbody tr")) {
    const marks = row.querySelectorAll("td a");
    if (marks.length) row.hidden = [...marks].every(link => link.hidden);
  }
  count.textContent = `${shown} of ${articles.length} shown`;
}
for (const field of [words, outcome]) field.addEventListener("input", filter);
filter();
