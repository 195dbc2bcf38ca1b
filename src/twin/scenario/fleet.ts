import type { NodeDescription } from '../../agent/contract.ts'
import { acceleratorsOf, cpuModel, oneSlot } from '../../model/accelerators.ts'
import { labelsOf as fabricLabels } from '../../model/fabric.ts'
import { type Pool, pool } from '../../model/kinds/pool.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { label } from '../../model/names.ts'
import { bytesOf, milliOf } from '../../model/quantity.ts'
import type { FleetShape } from './scenario.ts'

/** A Pool of each shape, and its nodes. A node with cards offers no cpu slots beside them: they would be accounted for. */
export function fleetOf(shapes: readonly FleetShape[]): { pools: Pool[]; nodes: NodeDescription[] } {
  return { pools: shapes.map(poolOf), nodes: shapes.flatMap(nodesOf) }
}

/** What each node of a shape has. */
export function acceleratorsOfNode(shape: FleetShape): { model: string; count: number } {
  return acceleratorsOf(shape.accelerators)[0] ?? oneSlot
}

/** Of all nodes together. */
export function acceleratorCount(nodes: readonly NodeDescription[]): number {
  return nodes.reduce((sum, { slots, gpus }) => sum + slots + gpus.length, 0)
}

function poolOf(shape: FleetShape): Pool {
  const { name, count, zone, capacityType, pricePerSlotHour, spares } = shape
  return pool.parse({
    apiVersion: millwrightVersion,
    kind: 'Pool',
    metadata: { name },
    spec: {
      accelerator: acceleratorsOfNode(shape).model,
      minNodes: count,
      maxNodes: count,
      capacityType,
      ...(zone === undefined ? {} : { zone }),
      ...(pricePerSlotHour === undefined ? {} : { pricePerSlotHour }),
      ...(spares === undefined ? {} : { spares }),
    },
  })
}

function nodesOf(shape: FleetShape): NodeDescription[] {
  const { model, count } = acceleratorsOfNode(shape)
  const isCpu = model === cpuModel
  return Array.from({ length: shape.count }, (_, index) => ({
    name: `${shape.name}-${index}`,
    pool: shape.name,
    labels: labelsOf(shape, index),
    cpuMilli: milliOf(shape.cpu),
    memoryBytes: bytesOf(shape.memory),
    slots: isCpu ? count : 0,
    podsMax: 1000,
    gpus: isCpu ? [] : Array.from({ length: count }, (_, card) => ({ id: `gpu-${card}`, model, healthy: true })),
    ports: { from: 20_000, to: 20_999 },
    address: `${shape.name}-${index}`,
    info: {},
  }))
}

const [nvlinkLabel = ''] = fabricLabels.nvlink

function labelsOf({ name, labels, zone, nodesPerNvlink, nodesPerRack, nodesPerBlock }: FleetShape, index: number) {
  const group = (what: string, size: number) => `${name}-${what}-${Math.floor(index / size)}`
  return {
    ...labels,
    ...(zone === undefined ? {} : { [label.zone]: zone }),
    ...(nodesPerBlock === undefined ? {} : { [label.block]: group('block', nodesPerBlock) }),
    ...(nodesPerRack === undefined ? {} : { [label.rack]: group('rack', nodesPerRack) }),
    ...(nodesPerNvlink === undefined ? {} : { [nvlinkLabel]: group('nvlink', nodesPerNvlink) }),
  }
}
