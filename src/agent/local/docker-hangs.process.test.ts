import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { realClock } from '../../runtime/clock.ts'
import { type Bench, openBench, terminatedOf } from '../fixture.ts'

/** Pods with an image over a client whose daemon does not remove containers while a file is there. */
let bench: Bench
let dir: string
const hangs = () => join(dir, 'hangs')
const asked = () =>
  existsSync(join(dir, 'asked')) ? readFileSync(join(dir, 'asked'), 'utf8').split('\n').length - 1 : 0
const client = (refusal: string) => `#!/bin/sh
case $1 in
version) echo 1.0;;
run) exit 137;;
rm) echo "$@" >>${join(dir, 'asked')}
  if [ -e ${hangs()} ]; then echo 'Error response from daemon: ${refusal}' >&2; exit 1; fi;;
esac
`

beforeEach(async () => {
  bench = await openBench()
  // Where pods look first.
  dir = join(bench.dir, 'agent', 'bin')
  mkdirSync(dir, { recursive: true })
  vi.stubEnv('PATH', `${dir}${delimiter}${process.env['PATH']}`)
  writeFileSync(hangs(), '')
})
afterEach(async () => {
  rmSync(hangs(), { force: true })
  await bench.close()
  vi.unstubAllEnvs()
})

async function run(refusal: string): Promise<string> {
  writeFileSync(join(dir, 'docker'), client(refusal))
  chmodSync(join(dir, 'docker'), 0o755)
  return (await bench.run(['train'], { container: { image: 'alpine' } })).metadata.name
}

it('a pod has not ended before its container is gone', async () => {
  const name = await run('it does not answer')
  await bench.until(async () => asked() >= 2)
  expect((await bench.pod(name))?.status?.phase).toBe('Running')
  rmSync(hangs())
  expect(terminatedOf(await bench.ended(name))).toMatchObject({ exitCode: 137 })
})

it('the next agent goes on asking for it to be removed', async () => {
  const name = await run('it does not answer')
  await bench.until(async () => asked() >= 1)
  await bench.agent.stop('leave')
  const before = asked()
  await realClock.sleep(600)
  expect(asked()).toBeLessThanOrEqual(before + 1)
  await bench.newAgent()
  await bench.until(async () => asked() >= before + 3)
  rmSync(hangs())
  expect(terminatedOf(await bench.ended(name))).toMatchObject({ exitCode: 137 })
})

it('a container that Docker does not know is gone', async () => {
  const name = await run('No such container: it')
  expect(terminatedOf(await bench.ended(name))).toMatchObject({ exitCode: 137 })
  expect(asked()).toBe(1)
})
