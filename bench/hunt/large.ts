/** A history of the hunt is one to speak of with so many writes and faults, and a change of leader. */
const [writesMin, faultsMin, leadersMin] = [300, 3, 2]

export const largeSaid = `${writesMin} writes, ${faultsMin} faults and a change of leader, or more`

export function isLarge({ writes, faults, leaders }: { writes: number; faults: number; leaders: number }): boolean {
  return writes >= writesMin && faults >= faultsMin && leaders >= leadersMin
}
