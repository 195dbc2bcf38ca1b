import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Bench, openBench, terminatedOf } from '../fixture.ts'
import { podFolder } from './folders.ts'

/** Pods with an image on a machine whose Docker client finds no daemon. */
let bench: Bench
beforeEach(async () => {
  vi.stubEnv('DOCKER_HOST', 'unix:///no/such/docker.sock')
  bench = await openBench()
})
afterEach(async () => {
  await bench.close()
  vi.unstubAllEnvs()
})

it('where no Docker answers, a command runs as a process, and its log says so first', async () => {
  const { metadata } = await bench.run(['/bin/sh', '-c', 'echo hello'], { container: { image: 'alpine' } })
  expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 0 })
  const log = readFileSync(podFolder(join(bench.dir, 'agent'), metadata.uid ?? '').log, 'utf8')
  const events = await bench.until(async () => {
    const { items } = await bench.store.list('Event')
    return items.length > 0 && items
  })
  expect(events).toMatchObject([
    { type: 'Warning', reason: 'ImageIgnored', message: expect.stringContaining('image alpine is ignored') },
  ])
  expect(log).toMatch(/^millwright: image alpine is ignored, the command runs as a process of n0: .+\nhello\n$/)
})

it.each([
  ['without a command', {}],
  ['with arguments alone', { args: ['echo', 'hello'] }],
])('where no Docker answers, an image %s is refused', async (_, more) => {
  const { metadata } = await bench.run([], { container: { image: 'alpine', ...more } })
  const pod = await bench.ended(metadata.name)
  const told = expect.stringMatching(
    /^the pod has no command, and image alpine cannot be run for its own: .+; start Docker, or give the command$/,
  )
  expect(terminatedOf(pod)).toMatchObject({ reason: 'Unsupported', message: told })
})
