import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, openBench, terminatedOf } from '../fixture.ts'
import { podFolder } from './folders.ts'

/** Real containers, where a daemon answers and a static busybox is there to make an image of. */
const image = 'millwright-test/busybox:latest'
const docker = (...args: string[]): string =>
  execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

function makeImage(): boolean {
  const root = mkdtempSync(join(tmpdir(), 'busybox-'))
  try {
    docker('version', '--format', '{{.Server.Version}}')
    const script = `set -e; mkdir bin tmp; cp "$(command -v busybox)" bin/busybox; for c in sh sleep cat echo env test; do ln -s busybox bin/$c; done; tar -c . | docker import - ${image}`
    execFileSync('/bin/sh', ['-c', script], { cwd: root, stdio: 'ignore' })
    return true
  } catch {
    return false
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

describe.skipIf(!makeImage())('containers', () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await openBench()
  })
  afterAll(async () => {
    await bench.close()
    docker('rmi', '--force', image)
  })
  const sh = (script: string): string[] => ['/bin/sh', '-c', script]
  const logOf = (uid = ''): string => readFileSync(podFolder(join(bench.dir, 'agent'), uid).log, 'utf8')
  const left = (): string => docker('ps', '--all', '--quiet', '--filter', 'label=millwright.dev/node=n0').trim()

  it('run the image, with environment and folders, and tell their exit code', async () => {
    const { metadata } = await bench.run(
      sh('echo in $WHO; echo m >$MILLWRIGHT_OUTPUT_DIR/x; test -e /etc/passwd || exit 4'),
      {
        container: { image, env: [{ name: 'WHO', value: 'a\nbox' }] },
      },
    )
    const pod = await bench.ended(metadata.name)
    expect(logOf(metadata.uid)).toBe('in a box\n')
    expect(terminatedOf(pod)).toMatchObject({ exitCode: 4, reason: 'Error' })
    expect(readFileSync(join(podFolder(join(bench.dir, 'agent'), metadata.uid ?? '').output, 'x'), 'utf8')).toBe('m\n')
    expect(left()).toBe('')
  })

  it('a memory limit is enforced and named', async () => {
    const { metadata } = await bench.run(sh('x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; while :; do x=$x$x; done'), {
      container: { image, resources: { limits: { memory: '16Mi' } } },
    })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
  })

  it('outlive their agent, are found again, and leave nothing when deleted', async () => {
    const { metadata } = await bench.run(['sleep', '600'], { container: { image } })
    await bench.until(async () => left() !== '')
    await bench.agent.stop('leave')
    await bench.newAgent()
    expect(left()).not.toBe('')
    await bench.store.delete('Pod', { name: metadata.name, namespace: 'default' }, { gracePeriodSeconds: 0 })
    await bench.until(async () => left() === '')
  })

  it('an image that is not there fails with the daemon’s words in the log', async () => {
    const { metadata } = await bench.run(['true'], { container: { image: 'localhost:1/no/such:image' } })
    expect(terminatedOf(await bench.ended(metadata.name))).toMatchObject({
      exitCode: 125,
      message: expect.stringContaining('Docker'),
    })
    expect((await bench.report(metadata.name))?.status?.logTail).toContain('docker')
  })
})
