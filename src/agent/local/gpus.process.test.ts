import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLiveness } from '../../base/liveness.ts'
import { silentLog } from '../../base/log.ts'
import { seededRandom } from '../../base/random.ts'
import type { Device, Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { realClock } from '../../runtime/clock.ts'
import type { Store } from '../../store/contract.ts'
import { createMemoryStore } from '../../store/memory/store.ts'
import { type Agent, createAgent } from '../agent.ts'
import { localFiles } from './files.ts'
import { findMachine, splitNodes, watchGpus } from './machine.ts'
import { createLocalRunner } from './runner.ts'

/** A program `nvidia-smi` on the PATH that answers what a test wants, from there to the Node. */
describe('the cards of a node', () => {
  let dir: string
  let store: Store
  const agents: Agent[] = []
  const cancels: (() => void)[] = []
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'gpus-'))
    mkdirSync(join(dir, 'bin'))
    const program = join(dir, 'bin', 'nvidia-smi')
    const script = [
      '#!/bin/sh',
      `echo "$*" >>"${dir}/asked"`,
      `[ ! -e "${dir}/hangs" ] || { trap "" TERM INT; sleep 5; }`,
      `if [ "$1" = -L ]; then cat "${dir}/list"; else cat "${dir}/answer"; [ ! -e "${dir}/words" ] || cat "${dir}/words" >&2; fi`,
      `exit "$(cat "${dir}/code")"`,
    ]
    writeFileSync(program, `${script.join('\n')}\n`)
    chmodSync(program, 0o755)
    store = createMemoryStore({ clock: realClock, random: seededRandom(1) })
  })
  afterEach(async () => {
    for (const cancel of cancels.splice(0)) cancel()
    for (const agent of agents.splice(0)) await agent.stop('kill', 0)
    rmSync(dir, { recursive: true, force: true })
  })

  const hangsMs = 400
  const row = (index: number, mig = 'Disabled') =>
    `${index}, GPU-${index}, NVIDIA H100 80GB HBM3, 81559, ${mig}, 00000000:${index}F:00.0, P0, 31`
  /** Standard output, words on the other, and the exit code, as the real one has them. */
  function answer(lines: string[], { words = '', list = '', code = 0 } = {}): void {
    writeFileSync(join(dir, 'answer'), `${lines.join('\n')}\n`)
    writeFileSync(join(dir, 'list'), list)
    writeFileSync(join(dir, 'words'), words)
    writeFileSync(join(dir, 'code'), String(code))
  }
  /** Long enough for a busy machine to start a script; what hangs is given less. */
  const look = (timeoutMs = 2_000) => ({
    environment: { ...process.env, PATH: [join(dir, 'bin'), process.env['PATH']].join(delimiter) },
    timeoutMs,
  })
  async function register(nodes = 1, timeoutMs?: number): Promise<void> {
    const machine = await findMachine(look(timeoutMs))
    for (const node of splitNodes({ ...machine, hostname: 'm' }, { nodes })) {
      const agentDir = join(dir, 'agent')
      const runner = createLocalRunner({ dir: agentDir, node: node.name, clock: realClock, log: silentLog })
      const files = localFiles({ dir: agentDir })
      const blobs = undefined as never // no pod runs here
      const random = seededRandom(2)
      const agent = createAgent({
        store,
        blobs,
        clock: realClock,
        liveness: createLiveness(realClock),
        random,
        log: silentLog,
        runner,
        files,
        node,
      })
      agents.push(agent)
      await agent.start()
    }
    cancels.push(
      watchGpus({
        ...look(),
        clock: realClock,
        machine: { ...machine, hostname: 'm' },
        everyMs: 50,
        changed: (now) => {
          for (const [index, node] of splitNodes(now, { nodes }).entries()) agents[index]?.describe(node)
        },
      }),
    )
  }
  const nodeOf = async (name = 'm-0'): Promise<Node> => {
    const node = await store.get('Node', { name })
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }
  const seen = async (name?: string) => {
    const { metadata, status } = await nodeOf(name)
    const condition = status?.conditions?.find(({ type }) => type === 'GPUsHealthy')
    const devices: Device[] = JSON.parse(metadata.annotations?.[annotation.nodeDevices] ?? '[]')
    return {
      gpus: [status?.capacity?.['nvidia.com/gpu'], status?.allocatable?.['nvidia.com/gpu']],
      condition: condition && [condition.status, condition.reason, condition.message],
      devices: devices.map(({ id, healthy }) => `${id} ${healthy ? 'healthy' : 'broken'}`),
      ready: status?.conditions?.find(({ type }) => type === 'Ready')?.status,
    }
  }
  const healthy = (count: number) => ({
    gpus: [String(count), String(count)],
    condition: ['True', 'AllUsable', ''],
    devices: Array.from({ length: count }, (_, index) => `gpu-${index} healthy`),
    ready: 'True',
  })

  it('are its capacity, by model, with the UUID that a pod is given', async () => {
    answer([row(0), row(1)])
    await register()
    expect(await seen()).toEqual(healthy(2))
    const { metadata } = await nodeOf()
    expect(metadata.labels?.['millwright.dev/accelerator']).toBe('H100')
    expect(JSON.parse(metadata.annotations?.[annotation.nodeDevices] ?? '')[1]).toEqual({
      id: 'gpu-1',
      model: 'H100',
      uuid: 'GPU-1',
      memoryMiB: 81559,
      healthy: true,
    })
  })

  it('one that falls off the bus is missed by name, others stay; back after a reset, it is offered again', async () => {
    answer([row(0), row(1), row(2)])
    await register()
    answer([row(0), row(2)], {
      words: 'Unable to determine the device handle for GPU1: 0000:1F:00.0: Unknown Error\n',
      code: 15,
    })
    await expect.poll(seen).toEqual({
      gpus: ['3', '2'],
      condition: ['False', 'GPUBroken', 'gpu-1 (H100): 0000:1F:00.0: Unknown Error'],
      devices: ['gpu-0 healthy', 'gpu-1 broken', 'gpu-2 healthy'],
      ready: 'True',
    })
    answer([row(0), row(1), row(2)])
    await expect.poll(seen).toEqual(healthy(3))
  })

  it('one that was lost before the start is there, broken', async () => {
    answer([row(0)], {
      words: 'Unable to determine the device handle for GPU1: 0000:1F:00.0: Unknown Error\n',
      code: 15,
    })
    await register()
    expect(await seen()).toMatchObject({ gpus: ['2', '1'], condition: ['False', 'GPUBroken', expect.anything()] })
  })

  it('stay with their logical nodes when one is lost', async () => {
    answer([row(0), row(1), row(2), row(3)])
    await register(2)
    answer([row(0), row(2), row(3)])
    await expect.poll(() => seen('m-0')).toMatchObject({ gpus: ['2', '1'], devices: ['gpu-0 healthy', 'gpu-1 broken'] })
    expect(await seen('m-1')).toMatchObject({ gpus: ['2', '2'], devices: ['gpu-2 healthy', 'gpu-3 healthy'] })
  })

  it('MIG instances stand for their card', async () => {
    answer([row(0, 'Enabled'), row(1)], {
      list: [
        'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-0)',
        '  MIG 3g.40gb     Device  0: (UUID: MIG-aaaaaaaa-1111)',
        '  MIG 1g.10gb     Device  1: (UUID: MIG-bbbbbbbb-2222)',
        'GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-1)',
      ].join('\n'),
    })
    await register()
    const devices: Device[] = JSON.parse((await nodeOf()).metadata.annotations?.[annotation.nodeDevices] ?? '')
    expect(devices.map(({ id, model, uuid }) => [id, model, uuid])).toEqual([
      ['gpu-0-mig-0', 'H100-3g.40gb', 'MIG-aaaaaaaa-1111'],
      ['gpu-0-mig-1', 'H100-1g.10gb', 'MIG-bbbbbbbb-2222'],
      ['gpu-1', 'H100', 'GPU-1'],
    ])
    expect((await seen()).gpus).toEqual(['3', '3'])
  })

  it('a driver that no longer fits its library is a condition of the node, which is Ready all the same', async () => {
    const words = 'Failed to initialize NVML: Driver/library version mismatch'
    answer([words, 'NVML library version: 535.161'], { code: 18 })
    await register()
    expect(await seen()).toEqual({
      gpus: [undefined, undefined],
      condition: ['False', 'DriverProblem', words],
      devices: [],
      ready: 'True',
    })
    answer([row(0)]) // rebooted, or the module loaded again
    await expect.poll(seen).toEqual(healthy(1))
  })

  it('a driver that is updated under a running node takes its cards out of use, not out of sight', async () => {
    answer([row(0), row(1)])
    await register()
    answer(['Failed to initialize NVML: Driver/library version mismatch', 'NVML library version: 535.161'], {
      code: 18,
    })
    await expect.poll(seen).toMatchObject({
      gpus: ['2', '0'],
      condition: ['False', 'DriverProblem', expect.stringContaining('mismatch')],
    })
  })

  it('a driver that hangs keeps nobody waiting, and says so', async () => {
    answer([row(0)])
    writeFileSync(join(dir, 'hangs'), '')
    await register(1, hangsMs)
    expect(await seen()).toMatchObject({
      gpus: [undefined, undefined],
      condition: ['False', 'DriverProblem', expect.stringContaining('nvidia-smi does not answer within 1 s')],
    })
    rmSync(join(dir, 'hangs'))
    await expect.poll(seen).toEqual(healthy(1))
  })

  it('one late answer is load, the second is a problem', async () => {
    answer([row(0)])
    await register()
    const changes: unknown[] = []
    const machine = await findMachine(look())
    writeFileSync(join(dir, 'hangs'), '')
    let looks = 0
    let beat: () => void = () => {}
    const clock = {
      ...realClock,
      every: (_ms: number, run: () => void) => {
        beat = () => {
          looks += 1
          run()
        }
        return () => {}
      },
    }
    watchGpus({ ...look(hangsMs), clock, machine, changed: ({ gpuProblem }) => changes.push(gpuProblem) })
    beat()
    await realClock.sleep(600)
    expect([looks, changes]).toEqual([1, []])
    beat()
    await expect.poll(() => changes).toEqual([expect.stringContaining('does not answer')])
  })

  it('without a driver there is no condition, and nobody asks again', async () => {
    rmSync(join(dir, 'bin', 'nvidia-smi'))
    const machine = await findMachine({ environment: { PATH: join(dir, 'bin') } })
    expect([machine.gpus, machine.gpuProblem]).toEqual([[], undefined])
    const beats: number[] = []
    const every = (ms: number) => {
      beats.push(ms)
      return () => {}
    }
    const clock = { ...realClock, every }
    watchGpus({ clock, machine, changed() {} })
    expect(beats).toEqual([])
  })
})
