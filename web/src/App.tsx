import { QueryClientProvider } from "@tanstack/react-query";
import { NoticeList } from "./components/NoticeList";
import type { Services } from "./model/services";
import { ServicesContext } from "./hooks/useServices";
import { useSession } from "./hooks/useSession";
import { ProspectsPage } from "./pages/ProspectsPage";
import { SignInPage } from "./pages/SignInPage";

export function App({ services }: { services: Services }) {
  return (
    <ServicesContext value={services}>
      <QueryClientProvider client={services.queries}>
        <Page />
        <NoticeList />
      </QueryClientProvider>
    </ServicesContext>
  );
}

function Page() {
  const session = useSession();
  return session === undefined ? <SignInPage /> : <ProspectsPage key={session.id} />;
}
