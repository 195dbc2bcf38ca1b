/** How long the steps of a training job are. */
export interface StepModel {
  /** One step of all members that it is made for, in milliseconds. */
  stepMs: number
  /** So many those are; left out: however many there are. */
  ranks?: number
  /** The part of a step that is shared among the members: all of it where left out. */
  scaling?: number
}

/**
 * One step of so many members. A step is the same work, whoever does it (a fixed global batch): what is shared takes as much
 * longer as there are fewer, and the rest as long as ever (Amdahl, AFIPS 1967).
 */
export function stepMsOf({ stepMs, ranks, scaling = 1 }: StepModel, members: number): number {
  if (ranks === undefined) return stepMs
  return stepMs * (1 + scaling * (ranks / members - 1))
}
