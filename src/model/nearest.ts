/**
 * The right spelling that `word` most likely meant, or undefined: a guess that is far off is worse than none.
 * Case, `_` and `-` are forgiven; words of other tools for the same thing are known.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length === 0 || word.length > wordMax) return undefined
  const bare = bareOf(word)
  const same = candidates.find((candidate) => bareOf(candidate) === bare)
  if (same !== undefined) return same
  const close = closest(bare, candidates)
  if (close !== undefined) return close
  return (otherWords.get(bare) ?? []).find((meant) => candidates.includes(meant))
}

const wordMax = 64

/** What users of SkyPilot, dstack, Kubeflow, KServe, JobSet, Ray and Modal type, and what we call it. */
const otherWords: ReadonlyMap<string, readonly string[]> = new Map([
  ['run', ['command']],
  ['cmd', ['command']],
  ['entrypoint', ['command']],
  ['script', ['command']],
  ['nodes', ['workers']],
  ['numnodes', ['workers']],
  ['numworkers', ['workers']],
  ['replicas', ['workers', 'minReplicas']],
  ['parallelism', ['workers']],
  ['minnodes', ['minWorkers']],
  ['minreplicas', ['minWorkers']],
  ['environment', ['env']],
  ['gpu', ['accelerators']],
  ['gpus', ['accelerators']],
  ['accelerator', ['accelerators']],
  ['mem', ['memory']],
  ['ram', ['memory']],
  ['cpus', ['cpu']],
  ['workdir', ['workingDir']],
  ['cwd', ['workingDir']],
  ['backofflimit', ['maxRestarts']],
  ['retries', ['maxRestarts']],
  ['retry', ['maxRestarts']],
  ['paused', ['suspend']],
  ['pause', ['suspend']],
  ['storageuri', ['model']],
  ['modeluri', ['model']],
  ['data', ['dataset']],
  ['timeout', ['activeDeadlineSeconds', 'timeoutSeconds']],
  ['mincontainers', ['minReplicas']],
  ['maxcontainers', ['maxReplicas']],
  ['min', ['minReplicas']],
  ['max', ['maxReplicas']],
  ['scaledownwindow', ['scaleDownSeconds']],
  ['scaletarget', ['target']],
  ['concurrency', ['target']],
  ['replicatedjobs', ['groups']],
  ['price', ['pricePerSlotHour']],
  ['quota', ['nominalQuota']],
])

function closest(bare: string, candidates: readonly string[]): string | undefined {
  const allowed = bare.length <= 3 ? 1 : Math.min(3, Math.floor(bare.length / 3))
  let best: string | undefined
  let bestDistance = allowed + 1
  for (const candidate of candidates) {
    const distance = editDistance(bare, bareOf(candidate), bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function bareOf(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours; gives up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit || b.length > wordMax) return limit
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, at(before, j - 2) + 1)
      row.push(best)
    }
    before = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
