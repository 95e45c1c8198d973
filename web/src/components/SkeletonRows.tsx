export function SkeletonRows({ count }: { count: number }) {
  return Array.from({ length: count }, (_, index) => (
    <tr key={index} className="skeleton" aria-hidden="true">
      <td className="cell-name">
        <span className="bone bone-round" />
        <span className="bone" />
      </td>
      <td className="cell-email"><span className="bone" /></td>
      <td className="cell-phone"><span className="bone bone-short" /></td>
      <td className="cell-time"><span className="bone bone-short" /></td>
      <td className="cell-time"><span className="bone bone-short" /></td>
    </tr>
  ));
}
