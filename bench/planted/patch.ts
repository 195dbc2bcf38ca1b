/** A unified diff with a header: lines before the first `---` that say what it is about. */
export interface Patch {
  about: readonly string[]
  /** By path from the root. */
  files: ReadonlyMap<string, readonly Hunk[]>
}

/** Lines that are there, and what becomes of them. */
interface Hunk {
  /** From which line on, by the patch's own count. */
  line: number
  before: readonly string[]
  after: readonly string[]
}

export function readPatch(text: string): Patch {
  const about: string[] = []
  const files = new Map<string, Hunk[]>()
  let hunks: Hunk[] | undefined
  let hunk: { line: number; before: string[]; after: string[] } | undefined
  for (const line of text.trimEnd().split('\n')) {
    const [, path] = /^\+\+\+ b\/(\S+)/.exec(line) ?? []
    const [, from] = /^@@ -(\d+)/.exec(line) ?? []
    if (path !== undefined) {
      hunks = []
      hunk = undefined
      files.set(path, hunks)
    } else if (from !== undefined) {
      hunk = { line: Number(from), before: [], after: [] }
      hunks?.push(hunk)
    } else if (line.startsWith('--- a/')) hunk = undefined
    else if (hunk === undefined) about.push(line)
    else {
      if (!line.startsWith('+')) hunk.before.push(line.slice(1))
      if (!line.startsWith('-')) hunk.after.push(line.slice(1))
    }
  }
  return { about: about.filter((line) => line !== ''), files }
}

/** Finds each hunk where its lines stand now, the nearest place to where they stood; throws where they stand nowhere. */
export function applied(text: string, hunks: readonly Hunk[]): string {
  const lines = text.split('\n')
  for (const { line, before, after } of hunks.toReversed()) {
    const places = placesOf(lines, before)
    const [place] = places.toSorted((a, b) => Math.abs(a - line + 1) - Math.abs(b - line + 1))
    if (place === undefined) throw new Error(`these lines are not there:\n${before.join('\n')}`)
    lines.splice(place, before.length, ...after)
  }
  return lines.join('\n')
}

function placesOf(lines: readonly string[], wanted: readonly string[]): number[] {
  return [...lines.keys()].filter((start) => wanted.every((line, index) => lines[start + index] === line))
}
