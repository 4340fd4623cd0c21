/** How much of `expected` is in `heard`, 0 to 1: the words they have in common, in any order. */
export function alike(heard: string, expected: string): number {
  const left = wordsOf(heard);
  const wanted = wordsOf(expected);
  const found = wanted.filter((word) => {
    const at = left.indexOf(word);
    return at >= 0 && left.splice(at, 1).length > 0;
  });
  return found.length / wanted.length;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().normalize("NFC").match(/[\p{L}\p{N}]+/gu) ?? [];
}
