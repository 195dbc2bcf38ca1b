import { execFileSync } from 'node:child_process'
import { linkSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, explained, locked } from './errors.ts'

/**
 * One process at a time. The highest of the numbered files `lock-N` names the holder; it counts as free once that
 * process is gone (killed ones included) or has let go. A newcomer makes `lock-N+1`, which only one can, and looks again
 * whether it is the highest: so a newcomer that was asleep since before someone else came and went does no harm.
 */
export function takeLock(dir: string): () => void {
  try {
    return take(dir)
  } catch (error) {
    throw explained(dir, error)
  }
}

interface Holder {
  pid: number
  /** Tells the process apart from a later one with its pid. */
  start: string
  boot: string
  host: string
}

function take(dir: string): () => void {
  const mine: Holder = { pid: process.pid, start: startOf(process.pid) ?? '', boot: bootId(), host: hostname() }
  const draft = join(dir, `lock-draft-${process.pid}-${Math.random().toString(36).slice(2)}`)
  try {
    writeFileSync(draft, `${JSON.stringify(mine)}\n`)
    for (;;) {
      const highest = highestLock(dir)
      const holder = highest === 0 ? undefined : holderOf(join(dir, lockName(highest)))
      if (holder !== undefined) refuseIfAlive(dir, holder, lockName(highest))
      const number = highest + 1
      if (!linked(draft, join(dir, lockName(number)))) continue
      if (highestLock(dir) === number) {
        removeBelow(dir, number)
        return () => writeFileSync(join(dir, lockName(number)), '')
      }
      rmSync(join(dir, lockName(number)), { force: true })
    }
  } finally {
    rmSync(draft, { force: true })
  }
}

const lockName = (number: number) => `lock-${String(number).padStart(9, '0')}`

function lockNumbers(dir: string): number[] {
  return readdirSync(dir).flatMap((name) => {
    const number = /^lock-([0-9]{9,})$/.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
}

function highestLock(dir: string): number {
  return Math.max(0, ...lockNumbers(dir))
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

function removeBelow(dir: string, number: number): void {
  for (const other of lockNumbers(dir)) {
    if (other >= number) continue
    try {
      unlinkSync(join(dir, lockName(other)))
    } catch {} // another newcomer tidies up as well
  }
}

/** Undefined: let go. */
function holderOf(file: string): Holder | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined // overtaken: the next look shows the higher one
    throw error
  }
  if (text === '') return undefined
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { pid, start, boot, host } = parsed as Partial<Holder>
  if (typeof pid !== 'number') return undefined
  return { pid, start: String(start), boot: String(boot), host: String(host) }
}

function refuseIfAlive(dir: string, holder: Holder, file: string): void {
  if (holder.host !== hostname()) {
    throw locked(dir, `process ${holder.pid} on ${holder.host} (if that is gone for good, remove ${file} there)`)
  }
  if (holder.boot !== bootId() || startOf(holder.pid) !== holder.start) return
  throw locked(dir, holder.pid === process.pid ? `this process (${holder.pid})` : `process ${holder.pid}`)
}

/** When the process started, in whatever unit the system has; undefined when there is none. A zombie is dead. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      const options = { encoding: 'utf8', env: { ...process.env, ...sameForAll } } as const
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], options).trim() || undefined
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/** What ps says of a time must not hang on who asks. */
const sameForAll = { LC_ALL: 'C', TZ: 'UTC0' }

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return '' // elsewhere the start is a full date, which no other boot repeats
  }
}
