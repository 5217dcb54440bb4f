from tests.integration.api.conftest import Caller


def test_smoke(ada: Caller) -> None:
    p = ada.portfolio()
    print(ada.trade(p))
    r = ada.get(f"/api/portfolios/{p}/risk")
    print(r.status_code, r.headers, r.text)
    r = ada.get(f"/api/portfolios/{p}/trades")
    print(r.status_code, r.text)
    r = ada.get("/readyz")
    print(r.text)
    r = ada.get("/metrics")
    print(r.text[-1500:])
    r = ada.get("/")
    print(r.headers, r.text)
    assert 0
