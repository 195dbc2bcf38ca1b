import { describe, expect, it } from 'vitest'
import { type FoundGpu, mergeGpus, readGpus } from './gpus.ts'
import { type Machine, splitNodes } from './machine.ts'

describe('nvidia-smi', () => {
  it('healthy cards', () => {
    const { gpus } = readGpus(`0, GPU-4a6b11c2-0c4e-9f35-6f0e-1f2f3a9b7c01, NVIDIA H100 80GB HBM3, 81559, Disabled
1, GPU-8f0c5f6e-2222-9f35-6f0e-1f2f3a9b7c02, NVIDIA H100 80GB HBM3, 81559, Disabled
`)
    expect(gpus).toEqual([
      { id: 'gpu-0', model: 'H100', uuid: 'GPU-4a6b11c2-0c4e-9f35-6f0e-1f2f3a9b7c01', memoryMiB: 81559, healthy: true },
      { id: 'gpu-1', model: 'H100', uuid: 'GPU-8f0c5f6e-2222-9f35-6f0e-1f2f3a9b7c02', memoryMiB: 81559, healthy: true },
    ])
  })

  it('where they are on the bus is known; a sign that a card does not have is no fault', () => {
    const row = '0, GPU-1, NVIDIA GB10, [N/A], [N/A], 0000000F:01:00.0, P8, [N/A]'
    expect(readGpus(row).gpus).toMatchObject([{ id: 'gpu-0', uuid: 'GPU-1', bus: '000f:01:00.0', healthy: true }])
  })

  it('a consumer card without MIG and with unsupported fields', () => {
    const { gpus } = readGpus('0, GPU-1, NVIDIA GeForce RTX 3090, [N/A], [N/A]')
    expect(gpus).toEqual([{ id: 'gpu-0', model: 'GeForce-RTX-3090', uuid: 'GPU-1', healthy: true }])
  })

  it('MIG: the instances stand for the card', () => {
    const { gpus } = readGpus(
      '0, GPU-a, NVIDIA A100-SXM4-80GB, 81920, Enabled\n1, GPU-b, NVIDIA A100-SXM4-80GB, 81920, Disabled',
      `GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-a)
  MIG 3g.40gb     Device  0: (UUID: MIG-11111111-aaaa)
  MIG 1g.10gb     Device  1: (UUID: MIG-22222222-bbbb)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-b)`,
    )
    expect(gpus).toMatchObject([
      { id: 'gpu-0-mig-0', model: 'A100-80GB-3g.40gb', uuid: 'MIG-11111111-aaaa', memoryMiB: 40960, healthy: true },
      { id: 'gpu-0-mig-1', model: 'A100-80GB-1g.10gb', memoryMiB: 10240 },
      { id: 'gpu-1', model: 'A100-80GB' },
    ])
  })

  it('MIG on without instances offers nothing and says why', () => {
    const { gpus } = readGpus(
      '0, GPU-a, NVIDIA A100-SXM4-80GB, 81920, Enabled',
      'GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-a)',
    )
    expect(gpus).toMatchObject([{ id: 'gpu-0', healthy: false, reason: expect.stringContaining('no instances') }])
  })

  it.each([
    ['Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error', 'gpu-0000-3b-00-0', 'Unknown Error'],
    ['Unable to determine the device handle for GPU0000:2A:00.0: Unknown Error', undefined, 'Unknown Error'],
    [
      'Unable to determine the device handle for GPU1: 0000:4B:00.0: GPU is lost.  Reboot the system to recover this GPU',
      'gpu-1',
      'GPU is lost. Reboot',
    ],
    [
      'Unable to determine the device handle for GPU3: 0000:5F:00.0: Unknown Error',
      'gpu-3',
      '0000:5F:00.0: Unknown Error',
    ],
    ['Unable to determine the device handle for GPU2: Unknown Error', 'gpu-2', 'Unknown Error'],
    ['Unable to determine the device handle for GPU 0000:01:00.0: Not Found', 'gpu-0000-01-00-0', 'Not Found'],
    [
      '3, GPU-x, NVIDIA H100 80GB HBM3, 81559, Disabled, 00000000:5F:00.0, [GPU requires reset], [GPU requires reset]',
      'gpu-3',
      'GPU requires reset',
    ],
    ['3, GPU-x, NVIDIA H100 80GB HBM3, 81559, Disabled, 00000000:5F:00.0, P0, ERR!', 'gpu-3', 'ERR!'],
    ['3, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]', 'gpu-3', 'GPU is lost'],
    ['3, GPU-x, NVIDIA H100 80GB HBM3, [Unknown Error], [Unknown Error]', 'gpu-3', 'Unknown Error'],
  ])('a card that fell off the bus stays listed: %s', (line, id, reason) => {
    const { gpus } = readGpus(`0, GPU-a, NVIDIA H100 80GB HBM3, 81559, Disabled\n${line}`)
    expect(gpus).toHaveLength(2)
    expect(gpus[0]).toMatchObject({ healthy: true })
    expect(gpus[1]).toMatchObject({ healthy: false, reason: expect.stringContaining(reason) })
    if (id !== undefined) expect(gpus[1]?.id).toBe(id)
  })

  it('a driver that does not answer is a problem, not an absence', () => {
    const silent =
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running."
    expect(readGpus(silent)).toMatchObject({ gpus: [], problem: expect.stringContaining('latest NVIDIA driver') })
    expect(readGpus('Failed to initialize NVML: Driver/library version mismatch').problem).toContain('mismatch')
    expect(
      readGpus('Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161'),
    ).toEqual({
      gpus: [],
      problem: 'Failed to initialize NVML: Driver/library version mismatch',
    })
    expect(readGpus("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.").problem).toContain(
      'libnvidia-ml',
    )
    expect(readGpus('No devices were found')).toEqual({ gpus: [] })
    expect(readGpus('')).toEqual({ gpus: [] })
  })
})

describe('another look at the cards', () => {
  const row = (index: number, more = 'P0, 30') =>
    `${index}, GPU-${index}, NVIDIA H100 80GB HBM3, 81559, Disabled, 00000000:${index}F:00.0, ${more}`
  const before = readGpus([row(0), row(1), row(2)].join('\n')).gpus
  const look = (...lines: string[]) => mergeGpus(before, readGpus(lines.join('\n')))
  const told = (gpus: FoundGpu[]) => gpus.map(({ id, healthy, reason }) => [id, healthy, reason])

  it.each([
    ['its index', 'Unable to determine the device handle for GPU1: Unknown Error', 'Unknown Error'],
    [
      'its address',
      'Unable to determine the device handle for GPU 0000:1F:00.0: GPU is lost.',
      '0000:1F:00.0: GPU is lost.',
    ],
    ['a fault', row(1, '[GPU requires reset], [GPU requires reset]'), 'GPU requires reset'],
    ['nothing', '', 'the driver does not list it any more'],
  ])('a card that the driver has lost keeps its name, whatever is left of it: %s', (_what, line, reason) => {
    expect(told(look(row(0), line, row(2)))).toEqual([
      ['gpu-0', true, undefined],
      ['gpu-1', false, reason],
      ['gpu-2', true, undefined],
    ])
  })

  it('a card that is back is healthy again, and nothing of its fault is left', () => {
    const lost = look(row(0), row(2))
    expect(mergeGpus(lost, readGpus([row(0), row(1), row(2)].join('\n')))).toEqual(before)
  })

  it('a card that was lost at the start is known once it is back', () => {
    const lost = readGpus(`${row(0)}\nUnable to determine the device handle for GPU 0000:1F:00.0: Unknown Error`).gpus
    expect(told(lost)[1]?.[0]).toBe('gpu-0000-1f-00-0')
    const [, back] = mergeGpus(lost, readGpus([row(0), row(1)].join('\n')))
    expect(back).toMatchObject({ id: 'gpu-1', model: 'H100', uuid: 'GPU-1', healthy: true })
  })

  it('a driver that answers nothing makes all of them unusable, and none is forgotten', () => {
    const reason = 'Failed to initialize NVML: Driver/library version mismatch'
    expect(told(look(reason))).toEqual([0, 1, 2].map((index) => [`gpu-${index}`, false, reason]))
  })

  it('MIG instances go when others take their place, and stay when their card is lost', () => {
    const card = '0, GPU-a, NVIDIA A100-SXM4-80GB, 81920, Enabled, 00000000:0F:00.0, P0, 30'
    const list = (...uuids: string[]) =>
      ['GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-a)']
        .concat(uuids.map((uuid, at) => `  MIG 1g.10gb Device ${at}: (UUID: ${uuid})`))
        .join('\n')
    const instances = readGpus(card, list('MIG-GPU-a/7/0', 'MIG-GPU-a/8/0')).gpus
    expect(instances.map((gpu) => gpu.uuid)).toEqual(['MIG-GPU-a/7/0', 'MIG-GPU-a/8/0'])
    const others = mergeGpus(instances, readGpus(card, list('MIG-GPU-a/9/0')))
    expect(others.map((gpu) => [gpu.uuid, gpu.healthy])).toEqual([['MIG-GPU-a/9/0', true]])
    const lost = readGpus('Unable to determine the device handle for GPU0: 0000:0F:00.0: Unknown Error')
    expect(told(mergeGpus(instances, lost)).map(([id, healthy]) => [id, healthy])).toEqual([
      ['gpu-0-mig-0', false],
      ['gpu-0-mig-1', false],
    ])
  })
})

describe('logical nodes', () => {
  const machine: Machine = {
    hostname: 'Mac-Book Pro.local',
    cores: 10,
    memoryBytes: 16e9,
    gpus: Array.from({ length: 8 }, (_, index) => ({ id: `gpu-${index}`, model: 'H100', healthy: true })),
    info: {},
  }

  it('share the machine, each with ports of its own', () => {
    const nodes = splitNodes(machine, { nodes: 4 })
    expect(nodes.map((node) => node.name)).toEqual([0, 1, 2, 3].map((index) => `mac-book-pro-${index}`))
    expect(nodes.map((node) => node.slots)).toEqual([3, 3, 2, 2])
    expect(nodes.map((node) => node.gpus.length)).toEqual([2, 2, 2, 2])
    expect(nodes.map((node) => node.cpuMilli)).toEqual([2500, 2500, 2500, 2500])
    expect(new Set(nodes.map((node) => node.labels['millwright.dev/rack'])).size).toBe(2)
    nodes.reduce((before, node) => {
      expect(node.ports.from).toBe(before + 1)
      return node.ports.to
    }, 19_999)
  })

  it('a small machine still offers four slots, and every node one', () => {
    expect(splitNodes({ ...machine, cores: 2, gpus: [] })[0]?.slots).toBe(4)
    expect(splitNodes({ ...machine, cores: 2, gpus: [] }, { nodes: 6 }).map((node) => node.slots)).toEqual([
      1, 1, 1, 1, 1, 1,
    ])
  })
})
