// SPDX-License-Identifier: GPL-2.0-only
/* The search takes a line of a kernel's log as it is, with its names and numbers.

   LOADER_LINES (loader_lines.js) has the lines of all messages of the loader, with words in angle brackets for what
   varies; and the words of insmod and modprobe. A query that such a line fits, or that is a part of one, leads to its
   message. Sphinx looks for pages that have all words of a query: if there is none, the words that no page has are left
   out, then those with digits, then pages with most of the words are shown. */
"use strict";

(() => {
  if (typeof Search === "undefined") return;
  const anything = /<[^<>]*>(?:<[^<>]*>)*/;
  const stamp = /^\s*(?:<\d+>)?\s*(?:\[[^\]]*\]\s*)?/;
  // What a line begins with is the file of the kernel, or the module: a log may have it or not.
  const prefix = /^(?:(?:module|Modules|livepatch|x86\/modules|module_64|SMP alternatives|<[^<>]*>|module <[^<>]*>): )+/;
  const least = 10;

  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
  const fixed = (line) => line.split(anything).join("").trim();
  const inHtml = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const patternOf = (line) => new RegExp(line.split(anything).map(escaped).join(".*?"), "i");
  const patterns = LOADER_LINES.map(([line, address, title, page, isFirst]) => {
    const whole = line.trim();
    const short = whole.replace(prefix, "");
    const shown = fixed(short).length >= least ? short : whole;
    const weight = fixed(shown).length;
    const text = whole.toLowerCase();
    return { pattern: patternOf(shown), whole: patternOf(whole), text, weight, address, title, page, isFirst };
  }).filter((item) => item.weight >= 6);

  const found = (query) => {
    const text = query.replace(stamp, "");
    const seen = new Set();
    // The longest line comes first; of equal ones that which is the first line of a message, and has its beginning.
    const rank = (item) => 4 * item.weight + 2 * item.isFirst + item.whole.test(text);
    const part = text.trim().toLowerCase();
    return patterns
      .filter((item) => item.pattern.test(text) || (part.length >= 2 * least && item.text.includes(part)))
      .sort((one, other) => rank(other) - rank(one))
      .filter((item) => !seen.has(item.address) && seen.add(item.address))
      .slice(0, 12);
  };

  const asResult = (item, at) => {
    const [file, anchor] = item.address.split("#");
    const name = file.replace(/\.html$/, "");
    return [name, inHtml(item.title), `#${anchor}`, inHtml(item.page), 1000 - at, `${name}.md`, "title"];
  };

  const isKnown = (term) =>
    Object.hasOwn(Search._index.terms, term) || Object.hasOwn(Search._index.titleterms, term);

  const filesOf = (term) => {
    const files = [Search._index.terms[term], Search._index.titleterms[term]];
    return new Set(files.filter((item) => item !== undefined).flat());
  };

  const mostOf = (terms) => {
    const counts = new Map();
    for (const term of terms)
      for (const file of filesOf(term)) counts.set(file, (counts.get(file) || 0) + 1);
    const most = Math.max(0, ...counts.values());
    if (most < 2 || most < terms.length * 0.6) return [];
    return [...counts]
      .filter(([, count]) => count === most)
      .map(([file]) => [
        Search._index.docnames[file], Search._index.titles[file], "", null, most, Search._index.filenames[file], "text",
      ]);
  };

  const byWords = Search._performSearch;
  Search._performSearch = (query, terms, excluded, highlighted, objects) => {
    const lines = found(query).map(asResult);
    let others = byWords(query, terms, excluded, highlighted, objects);
    const known = [...terms].filter(isKnown);
    for (const fewer of [known, known.filter((term) => !/\d/.test(term))])
      if (!others.length && fewer.length > 1)
        others = byWords(query, new Set(fewer), excluded, highlighted, new Set());
    if (!others.length && !lines.length) others = mostOf(known.filter((term) => !/\d/.test(term)));
    // (the last result is shown first)
    return [...others.filter((item) => item[4] < 1000), ...lines.reverse()];
  };
})();
