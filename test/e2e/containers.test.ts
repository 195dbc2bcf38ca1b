import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { containerProblem, docker, image, removeImages } from '../../src/agent/local/containers.fixture.ts'
import { factoryIn, until } from './factory.fixture.ts'

/** Jobs that name an image, through the built command line and a real Docker daemon. */
const problem = containerProblem()

describe.skipIf(problem !== undefined)(`jobs in containers${problem === undefined ? '' : ` (${problem})`}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'millwright-containers-'))
  const { up, stop, millwright, phase } = factoryIn(dir)
  afterEach(() => stop('SIGINT'))
  afterAll(() => {
    for (const id of containers()) docker('rm', '--force', id) // of a test that failed
    removeImages()
    rmSync(dir, { recursive: true, force: true })
  })

  it('a gang of two meets at the address and port of its seats', async () => {
    await up()
    const script = [
      // Its end stays open for a moment: who sees it closed would leave, whether it has said its own or not.
      'if [ $RANK = 0 ]; then (echo from rank 0 of $WORLD_SIZE; sleep 1) | nc -l -p $MASTER_PORT >got',
      'else until echo from rank 1 of $WORLD_SIZE | nc $MASTER_ADDR $MASTER_PORT >got 2>/dev/null; do sleep 0.1; done; fi',
      'echo heard $(cat got); test -s got',
    ]
    const answer = millwright('run', '--image', image, '--workers', '2', '--', 'sh', '-c', script.join('\n'))
    expect(answer.status, answer.stdout + answer.stderr).toBe(0)
    const heard = answer.stdout.split('\n').filter((line) => line.includes('heard'))
    expect(heard.map((line) => line.replace(/^\[[^\]]*\] /, '')).sort()).toEqual([
      'heard from rank 0 of 2',
      'heard from rank 1 of 2',
    ])
    expect(containers()).toEqual([])
  })

  it('are found again after kill -9 of the factory, and go when they are deleted', async () => {
    await up()
    const words = ['--detach', '--name', 'survivor', '--workers', '2', '--', 'sleep', '600']
    expect(millwright('run', '--image', image, ...words).status).toBe(0)
    await until(() => containers('running').length === 2 && phase('survivor') === 'Running')
    const before = containers()
    await stop('SIGKILL')
    expect(containers('running')).toEqual(before)
    await up()
    await until(() => phase('survivor') === 'Running')
    expect(containers('running')).toEqual(before)
    expect(millwright('delete', 'job', 'survivor').status).toBe(0)
    await until(() => containers().length === 0)
  })

  function containers(state?: 'running'): string[] {
    const ours = ['--filter', `label=millwright.dev/agent=${join(dir, 'agent')}`]
    const alive = state === undefined ? [] : ['--filter', `status=${state}`]
    return docker('ps', '--all', '--quiet', ...ours, ...alive)
      .split('\n')
      .filter(Boolean)
      .sort()
  }
})
