import { conditionOf } from './conditions.ts'
import { type HealthRule, health } from './health.ts'
import type { Node } from './kinds/kubernetes.ts'
import type { Condition } from './metadata.ts'
import { gpuResource } from './names.ts'
import { countOf } from './quantity.ts'

/** What an agent of ours says of the cards of its node; not there where it has none. */
export const gpusHealthy = 'GPUsHealthy'

/** A condition of a Node that speaks against it, by whoever writes it there. */
export interface ConditionRule extends HealthRule {
  condition: string
  /** The status that is not well; the others' conditions are named for the trouble, or for what is well. */
  bad: 'True' | 'False'
  /** 'close': it takes no new work. 'leave': and what runs there leaves. */
  wants: 'close' | 'leave'
  /** What somebody is to do there. */
  advice: string
}

interface Said {
  bad: ConditionRule['bad']
  seconds: number
  wants: ConditionRule['wants']
  advice: string
  source: string
}

function rule(condition: string, { bad, seconds, wants, advice, source }: Said): ConditionRule {
  const signal = `Node condition \`${condition}\` is ${bad}`
  const does = wants === 'leave' ? 'the node is closed, and what runs there leaves' : 'the node is closed'
  return { condition, bad, wants, advice, signal, at: seconds, unit: 's', follows: `${does}: ${advice}`, source }
}

const renew = 'start the node anew, or replace it'

/**
 * NVSentinel sets its conditions for what is fatal alone (NVIDIA/NVSentinel, docs/INTEGRATIONS.md); a program can cause XIDs,
 * so that nobody leaves for those that it sums up. node-problem-detector: config/kernel-monitor.json, systemd-monitor-counter.json.
 */
const nvsentinel = (condition: string, wants: ConditionRule['wants'], advice: string, source: string) =>
  rule(condition, { bad: 'True', seconds: 0, wants, advice, source: `NVSentinel; ${source}` })
const detector = (condition: string, wants: ConditionRule['wants'], advice: string, source: string) =>
  rule(condition, { bad: 'True', seconds: 0, wants, advice, source: `node-problem-detector; ${source}` })
const eks = (condition: string, seconds: number) =>
  rule(condition, {
    bad: 'False',
    seconds,
    wants: 'leave',
    advice: renew,
    source: 'EKS and Karpenter: replace after as long',
  })

export const conditionRules: readonly ConditionRule[] = [
  rule(gpusHealthy, {
    bad: 'False',
    seconds: 60,
    wants: 'leave',
    advice: `reset the GPU, or ${renew}`,
    source: 'our agent; a GPU that is lost: cordon, replace. The minute is ours',
  }),
  nvsentinel('GpuMemWatch', 'leave', 'reset the GPU, or replace it', 'uncorrected ECC: drain'),
  nvsentinel('GpuPcieWatch', 'leave', renew, 'PCIe: cordon, replace'),
  nvsentinel(
    'GpuNvlinkWatch',
    'leave',
    `look at its NVLinks, reset the GPU, or ${renew}`,
    'NVIDIA: drain, reset, reboot',
  ),
  nvsentinel('GpuThermalWatch', 'leave', 'look at its cooling', 'gpud: degrade, drain'),
  nvsentinel('SysLogsGPUFallenOff', 'leave', renew, 'XID 79: reboot or replace'),
  nvsentinel('SysLogsSXIDError', 'leave', `look at its NVSwitches, or ${renew}`, 'NVLink: drain, reset, reboot'),
  nvsentinel('SysLogsXIDError', 'close', 'look at which XID it is', 'XIDs of applications are among them'),
  detector('ReadonlyFilesystem', 'leave', 'look at its disk', 'Meta RSC: disk and mounts evict at once'),
  detector('XfsShutdown', 'leave', 'look at its disk', 'the same'),
  detector('KernelDeadlock', 'leave', renew, 'the same, of processes that wait for the kernel'),
  detector('FrequentKubeletRestart', 'close', 'look at its kubelet', 'restart, taint'),
  detector('FrequentContainerdRestart', 'close', 'look at its containerd', 'the same'),
  eks('AcceleratedHardwareReady', 600),
  eks('KernelReady', 1800),
  eks('StorageReady', 1800),
  eks('NetworkingReady', 1800),
  eks('ContainerRuntimeReady', 1800),
]

/** All that is shown: `millwright signals`. */
export const healthRules: readonly HealthRule[] = [...Object.values(health), ...conditionRules]

export interface BadCondition {
  rule: ConditionRule
  condition: Condition
}

/** What the node's conditions say against it, whether for long enough or not. */
export function badConditionsOf({ status }: Pick<Node, 'status'>): BadCondition[] {
  return (status?.conditions ?? []).flatMap((condition) => {
    const found = rules.get(condition.type)
    if (found === undefined || condition.status !== found.bad) return []
    // Where no card was ever found the driver is no reason against other work.
    const isOfNone = condition.type === gpusHealthy && countOf(status?.capacity?.[gpuResource] ?? 0) === 0
    return isOfNone ? [] : [{ rule: found, condition }]
  })
}

/** Nobody says anything against it any more: what nobody tells at all, nobody says. */
export function isWell({ status }: Pick<Node, 'status'>, type: string): boolean {
  const { bad } = rules.get(type) ?? {}
  const now = conditionOf(status?.conditions, type)?.status
  return now === undefined || (now !== bad && now !== 'Unknown')
}

const rules: ReadonlyMap<string, ConditionRule> = new Map(conditionRules.map((one) => [one.condition, one]))
