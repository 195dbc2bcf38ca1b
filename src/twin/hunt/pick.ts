/** One of them by any number; undefined where there is none. */
export function pickOf<T>(all: readonly T[], pick: number): T | undefined {
  return all[pick % Math.max(1, all.length)]
}
