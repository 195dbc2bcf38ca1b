/** What is different between two states of an object, a phrase a field: `spec.attempt 1 → 2`. Bookkeeping is left out. */
export function changesBetween(before: object | undefined, after: object): string[] {
  const changes: string[] = []
  compare(before, after, '', changes)
  return changes
}

const bookkeeping = new Set(['metadata.resourceVersion', 'metadata.generation', 'metadata.managedFields'])
const textMax = 60

function compare(before: unknown, after: unknown, path: string, changes: string[]): void {
  if (before === after || bookkeeping.has(path)) return
  if (isFields(before) && isFields(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      compare(before[key], after[key], path === '' ? key : `${path}.${key}`, changes)
    return
  }
  const [from, to] = [shown(before), shown(after)]
  if (JSON.stringify(before) !== JSON.stringify(after)) changes.push(`${path} ${from} → ${to}`)
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > textMax ? `${text.slice(0, textMax - 1)}…` : text
}
