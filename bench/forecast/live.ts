import { execFileSync } from 'node:child_process'
import { seededRandom } from '../../src/base/random.ts'
import { bin, found, trainingJob, withFactory } from '../factory-process.ts'
import type { Row } from '../row.ts'

const [jobs, slots] = [12, 4]

/**
 * A factory on this machine with more short jobs than it has room for: what a forecast says of their starts and ends, and what
 * then happens. Each declares how long it works.
 */
export function liveRows(): Promise<Row[]> {
  return withFactory(['--slots', String(slots), '--nodes', '2'], async ({ dir, client }) => {
    const random = seededRandom(1)
    const names = Array.from({ length: jobs }, (_, index) => `short-${index}`)
    for (const name of names) {
      const seconds = random.int(4, 20)
      const job = trainingJob(name, ['sleep', String(seconds)], random.int(1, 4), { expectedSeconds: seconds })
      await client.create('TrainingJob', job)
    }
    const listed = async () => (await client.list('TrainingJob', { namespace: 'default' })).items
    await found('the first to start', 60, async () =>
      (await listed()).some(({ status }) => status?.startTime !== undefined) ? true : undefined,
    )
    const words = ['--dir', dir, 'forecast', '--horizon', '1h', '--node-failures', '0', '-o', 'json']
    const told = JSON.parse(execFileSync(process.execPath, [bin, ...words], { encoding: 'utf8' })) as Told
    const came = await found('all to end', 600, async () => {
      const items = await listed()
      return items.every(({ status }) => status?.completionTime !== undefined) ? items : undefined
    })
    const [starts, ends]: [number[], number[]] = [[], []]
    const nowMs = Date.parse(told.now)
    for (const { metadata, status } of came) {
      const one = told.gangs.find(({ gang }) => gang === `default/${metadata.name}`)?.without
      const after = (time: string | undefined) => Math.max(0, (Date.parse(time ?? '') - nowMs) / 1000)
      // Who had ended before is foretold nothing.
      if (one === undefined) continue
      starts.push(Math.abs(one.starts.median - after(status?.startTime)))
      ends.push(Math.abs(one.ends.median - after(status?.completionTime)))
    }
    const lastMs = came.reduce((last, { status }) => Math.max(last, Date.parse(status?.completionTime ?? '')), 0)
    const spanSeconds = (lastMs - nowMs) / 1000
    const rowOf = (what: string, off: readonly number[]): Row => {
      const value = off.reduce((sum, one) => sum + one, 0) / Math.max(1, off.length)
      return {
        row: `${off.length} ${what} of ${jobs} short jobs on ${2 * slots} slots of a live factory: mean error`,
        value,
        unit: 's',
        bar: '<= 3 s',
        ok: value <= 3,
        peer: `${Math.max(...off).toFixed(1)} s at most; all took ${spanSeconds.toFixed(0)} s`,
      }
    }
    return [rowOf('starts', starts), rowOf('ends', ends)]
  })
}

interface Told {
  now: string
  gangs: { gang: string; without: { starts: { median: number }; ends: { median: number } } }[]
}
