// CSV as RFC 4180 has it; the tests' own reading, to compare with the import's.
export function parseCsv(text) {
  const rows = [];
  let row = [], field = '', quoted = false, begun = false;
  const endField = () => (row.push(field), (field = ''), (begun = false));
  const endRow = () => (endField(), rows.push(row), (row = []));
  const input = text.replace(/^\uFEFF/, '');
  for (let i = 0; i < input.length; i++) {
    const c = input[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (input[i + 1] === '"') field += input[++i];
      else quoted = false;
    } else if (c === '"' && !begun) quoted = begun = true;
    else if (c === ',') endField();
    else if (c === '\n' || (c === '\r' && input[i + 1] === '\n')) {
      if (c === '\r') i++;
      endRow();
    } else (field += c), (begun = true);
  }
  if (field || row.length || begun) endRow();
  return rows;
}

export function writeCsv(rows) {
  const quote = (field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  return rows.map((row) => row.map(quote).join(',') + '\r\n').join('');
}
